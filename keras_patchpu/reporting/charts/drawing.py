"""A drawing of matplotlib as SVG that stands in a page: its colours and font are the page's."""

import dataclasses
import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# What the drawing is made with, and the variable of the page's style sheet that takes its place,
# which has another value where the page is dark.
INK, MUTED, GRID = "#20242a", "#626a74", "#d9dde2"
BLUE, ORANGE, GREEN, PURPLE, RED = "#1f6fb4", "#c8590a", "#0f8a63", "#7d55b0", "#c42f3c"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, RED, MUTED)
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PURPLE: "--purple",
    RED: "--red",
}
# A phone of 360 pixels shows a drawing of this width at nine tenths of its size.
WIDTH = 360
LONGEST_NAME = 24
# The page may show it larger than it is drawn.
_LARGEST_SCALE = 1.35

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "svg.hashsalt": "keras_patchpu",  # the same drawing is the same file
    "text.parse_math": False,  # a dollar sign in a label's name is a dollar sign
    "axes.unicode_minus": True,
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 11,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
}
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_COLOUR = re.compile("|".join(_VARIABLES))


@dataclasses.dataclass(frozen=True)
class Chart:
    """A drawing in a page.

    Attributes:
        svg: an `<svg>` element, for HTML: it names no other file and no address.
        alt: what it shows, for those who do not see it; it is in the element, too.
    """

    svg: str
    alt: str


def draw(
    name: str,
    title: str,
    alt: str,
    paint: Callable[[Figure], None],
    height: float = 220,
    width: float = WIDTH,
) -> Chart:
    """Draws a chart.

    Args:
        name: unlike that of every other chart of the page.
        title: above the chart.
        alt: see `Chart`.
        paint: called with an empty `Figure`.
        height, width: in pixels of the page at full size.
    """
    stream = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # matplotlib measures the text in its own font; the browser has others.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        figure.suptitle(title, x=0.0, ha="left")
        paint(figure)
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return Chart(_for_page(stream.getvalue(), name, alt, width), alt)


def write_value(axes: Axes, place: float, value: float, digits: int = 1) -> None:
    """Writes the value of a lying bar behind its end."""
    axes.annotate(
        f"{value:.{digits}f}",
        (value, place),
        (4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
    )


def shown_name(name: str) -> str:
    """A label's name as charts show it: one line, not long, without what no XML can hold."""
    kept = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name)
    kept = " ".join(kept.split()) or "(no name)"
    return kept if len(kept) <= LONGEST_NAME else f"{kept[: LONGEST_NAME - 1]}…"


def _for_page(svg, name, alt, width):
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key.endswith("}href"):
                del element.attrib[key]
                is_place = value.startswith("#")
                element.set("href", f"#{name}-{value[1:]}" if is_place else value)
            else:
                element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
        if "style" in element.attrib:
            element.set("style", _in_page_style(element.get("style")))
    for parent in root.iter("defs"):
        for rule in parent.findall("style"):  # it would hold for all of the page
            parent.remove(rule)
    shape = {"viewBox": root.get("viewBox"), "style": f"max-width:{_LARGEST_SCALE * width:g}px"}
    root.attrib.clear()
    root.attrib.update({"class": "chart", "role": "img", "aria-label": alt, **shape})
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _in_page_style(style):
    rules = [rule.strip() for rule in style.split(";")]
    rules = [rule for rule in rules if not rule.startswith("font-family")]
    return _COLOUR.sub(lambda match: f"var({_VARIABLES[match[0]]})", "; ".join(rules))

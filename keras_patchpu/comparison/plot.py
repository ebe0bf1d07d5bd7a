"""The comparison as a picture: a bar a loss, grouped by model."""

import pathlib
from collections.abc import Sequence

from matplotlib.figure import Figure

from keras_patchpu.comparison.published import SOURCES, find_published
from keras_patchpu.comparison.results import Row, mean_and_deviation
from keras_patchpu.comparison.table import ADVICE
from keras_patchpu.whole_file import replaced_whole

_DPI = 150
_WIDTH = 1200
# Okabe and Ito's colours, which the colour-blind tell apart; they differ in lightness too.
_COLOURS = {"one positive": "#56B4E9", "all labels": "#E69F00"}
_INK = "#333333"
_MARKERS = ("D", "s", "^", "v")  # of SOURCES


def draw_plot(path: pathlib.Path, rows: Sequence[Row], title: str) -> None:
    """Writes a PNG of `_WIDTH` pixels: test mAP of the last epoch, mean, deviation and each seed.

    Raises:
        InputError: the file cannot be written.
    """
    places, labels, headings = _layout(rows)
    height = 1.7 + 0.3 * (places[-1] + 1)
    figure = Figure(figsize=(_WIDTH / _DPI, height), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    colours, published = {}, {}
    for row, place in zip(rows, places, strict=True):
        values = row.values(lambda result: result.last)
        if not values:
            continue
        mean, deviation = mean_and_deviation(values)
        bar = axes.barh(place, mean, height=0.72, color=_COLOURS[row.sees])
        colours.setdefault(f"trained on {row.sees}", bar)
        if deviation is not None:
            axes.errorbar(mean, place, xerr=deviation, color=_INK, capsize=3, linewidth=1.2)
        axes.plot(values, [place] * len(values), ".", color=_INK, markersize=5)
        axes.annotate(
            f"{mean:.1f}", (0, place), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
        config = row.results[0].config
        for value, source in find_published(row.model, row.loss, config["weights"], config["data"]):
            marker = _MARKERS[SOURCES.index(source)]
            (point,) = axes.plot(
                value, place, marker, color="white", markeredgecolor=_INK, markersize=6
            )
            published.setdefault(f"published, on all of {config['data']}: {source.text}", point)
    axes.set_yticks(places, labels, fontsize=9)
    axes.set_ylim(places[-1] + 0.8, -1.2)
    for place, model in headings:
        axes.annotate(
            model, (0, place), (4, 0), textcoords="offset points", va="center", weight="bold"
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("test mAP in % after the last epoch: mean, deviation, and a dot a seed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, fontsize=11)
    legend = {**colours, **published}
    if legend:
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", fontsize=7.5)
    with replaced_whole(path, ADVICE) as unfinished:
        figure.savefig(unfinished, dpi=_DPI)


def _layout(rows):
    """The place of each row and its label, and the place of each model's heading."""
    places, headings, place = [], [], -1.0
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or before.model != row.model:
            place += 1.2 if before else 0.4
            headings.append((place, row.model))
        place += 1
        places.append(place)
    return places, [row.loss for row in rows], headings

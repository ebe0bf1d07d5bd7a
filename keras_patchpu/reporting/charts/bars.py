"""A bar a label."""

import math
from collections.abc import Sequence

from keras_patchpu.reporting.charts.drawing import (
    BLUE,
    MUTED,
    Chart,
    draw,
    shown_name,
    write_value,
)

# More do not fit on a page that is read; then the best and the worst are drawn.
MOST_LABELS = 60


def draw_average_precisions(
    name: str,
    label_names: Sequence[str],
    precisions: Sequence[float],
    positives: Sequence[int],
    few: int,
) -> Chart:
    """A bar a label for its average precision, and its number of images beside it; best first.

    Args:
        name: see `draw`.
        label_names: L names.
        precisions: L average precisions in percent.
        positives: L numbers of images with the label.
        few: below this many the bar is pale.
    """
    order = sorted(range(len(label_names)), key=lambda place: -precisions[place])
    if len(order) > MOST_LABELS:
        half = MOST_LABELS // 2
        order = [*order[:half], None, *order[-half:]]  # None: a gap

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="x")
        beside = {
            "xycoords": ("axes fraction", "data"),
            "xytext": (58, 0),
            "textcoords": "offset points",
            "ha": "right",
            "fontsize": 9,
            "color": MUTED,
            "annotation_clip": False,
        }
        for place, label in enumerate(order):
            if label is None:
                left_out = f"and {len(label_names) - MOST_LABELS} labels between"
                axes.annotate(left_out, (1, place), va="center", fontsize=10, color=MUTED)
                continue
            value, count = precisions[label], positives[label]
            axes.barh(place, value, height=0.74, color=BLUE, alpha=0.35 if count < few else 0.9)
            write_value(axes, place, value)
            axes.annotate(f"{count:,}", (1, place), **beside, va="center")
        axes.annotate("images", (1, -0.9), **beside, va="bottom")
        names = ["" if label is None else shown_name(label_names[label]) for label in order]
        axes.set_yticks(range(len(order)), names)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlim(0, 20 * max(1, math.ceil(max(precisions) / 20)))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("average precision, %")

    drawn = [label for label in order if label is not None]
    alt = (
        f"Bar chart of average precision: {len(drawn)} labels from "
        f"{shown_name(label_names[drawn[0]])} with {precisions[drawn[0]]:.1f} percent down to "
        f"{shown_name(label_names[drawn[-1]])} with {precisions[drawn[-1]]:.1f} percent"
    )
    return draw(name, "Average precision", alt, paint, height=96 + 18 * len(order))

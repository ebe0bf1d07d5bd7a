"""Losses side by side: a row a loss, a dot a run."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from keras_patchpu.reporting.charts.drawing import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    Chart,
    draw,
    shown_name,
    write_value,
)

# Of the places where numbers were published.
_MARKERS = ("D", "s", "^", "v")


class DotRow(NamedTuple):
    """A row of the chart.

    Attributes:
        group: rows of one group stand together, below its name.
        title: of the row.
        values: one a run.
        sees_all: whether it is trained on all labels, and so drawn in another colour.
        published: what others have measured, and the number of the source, from 0 on.
    """

    group: str
    title: str
    values: list[float]
    sees_all: bool
    published: list[tuple[float, int]]


def draw_dots(name: str, title: str, rows: Sequence[DotRow]) -> Chart:
    """A row a loss: a bar to the mean, a dot a run, and an empty mark for what was published."""
    means = [statistics.fmean(row.values) for row in rows]

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="x")
        place, names, places = -1.0, [], []
        seen, published = {}, {}
        for before, row, mean in zip([None, *rows], rows, means, strict=False):
            if before is None or before.group != row.group:
                place += 1
                axes.annotate(
                    row.group,
                    (0, place),
                    (0, -2),
                    xycoords=("axes fraction", "data"),
                    textcoords="offset points",
                    va="center",
                    weight="bold",
                )
            place += 1
            names.append(shown_name(row.title))
            places.append(place)
            colour = ORANGE if row.sees_all else BLUE
            axes.barh(place, mean, height=0.6, color=colour, alpha=0.3)
            (dots,) = axes.plot(
                row.values, [place] * len(row.values), "o", color=colour, markersize=5
            )
            sees = "all labels" if row.sees_all else "one positive an image"
            seen.setdefault(f"a run that sees {sees}", dots)
            for value, source in row.published:
                (mark,) = axes.plot(
                    value,
                    place,
                    _MARKERS[source % len(_MARKERS)],
                    markerfacecolor="none",
                    markeredgecolor=MUTED,
                    markersize=6,
                )
                published.setdefault(f"published, source {source + 1} below", mark)
            axes.annotate(
                f"{mean:.1f}",
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=10,
                color=INK,
                annotation_clip=False,
            )
        axes.set_yticks(places, names)
        axes.set_ylim(place + 0.6, -0.6)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        marks = seen | dict(sorted(published.items()))
        figure.legend(marks.values(), marks.keys(), loc="outside lower left")

    groups = len({row.group for row in rows})
    parts = [f"{row.group} {row.title} {mean:.1f}" for row, mean in zip(rows, means, strict=True)]
    alt = f"Chart of {title}, mean of the runs: {'; '.join(parts)}"
    return draw(name, title, alt, paint, height=140 + 20 * (len(rows) + groups))


def draw_costs(
    name: str,
    title: str,
    rows: Sequence[str],
    values: Sequence[float],
    unit: str,
    digits: int = 0,
) -> Chart:
    """A bar a row, with its value."""

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="x")
        for place, value in enumerate(values):
            axes.barh(place, value, height=0.7, color=MUTED, alpha=0.55)
            write_value(axes, place, value, digits)
        axes.set_yticks(range(len(rows)), [shown_name(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.15 * max(values) or 1)
        axes.tick_params(axis="y", length=0)

    parts = [f"{row} {value:.{digits}f}" for row, value in zip(rows, values, strict=True)]
    alt = f"Bar chart of {title.lower()}, in {unit}: {'; '.join(parts)}"
    return draw(name, f"{title}, {unit}", alt, paint, height=60 + 20 * len(rows))

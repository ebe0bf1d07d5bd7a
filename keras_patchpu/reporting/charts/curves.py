"""What changes from epoch to epoch."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Sequence

from keras_patchpu.reporting.charts.drawing import INK, SERIES, Chart, draw, shown_name

_DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        title: of the line; None for a chart of one line.
        values: one an epoch, from the first on.
        band: the lowest and the highest of several runs, an epoch; or nothing.
    """

    title: str | None
    values: Sequence[float]
    band: Sequence[tuple[float, float]] = ()


def draw_curves(
    name: str, title: str, curves: Sequence[Curve], unit: str = "", from_zero: bool = False
) -> Chart:
    """Lines over the epochs.

    Args:
        name: see `draw`.
        title: of the chart.
        curves: at least one, each of at least one epoch.
        unit: of the vertical axis.
        from_zero: let that begin at 0.
    """

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="y")
        for curve, (dash, colour) in zip(curves, _looks(), strict=False):
            epochs = range(1, len(curve.values) + 1)
            if curve.band:
                axes.fill_between(
                    epochs, *zip(*curve.band, strict=True), color=colour, alpha=0.15, linewidth=0
                )
            marker = "o" if len(epochs) <= 30 else None
            label = None if curve.title is None else shown_name(curve.title)
            axes.plot(
                epochs, curve.values, color=colour, linestyle=dash, marker=marker, label=label
            )
        if from_zero:
            highest = max([0, *filter(math.isfinite, itertools.chain(*map(_heights, curves)))])
            axes.set_ylim(0, 1.08 * highest or 1)
        longest = max(len(curve.values) for curve in curves)
        axes.set_xlim(0.5, longest + 0.5)
        axes.set_xticks(_whole_numbers(longest))
        axes.set_xlabel("epoch")
        if len(curves) > 1:
            figure.legend(loc="outside lower left", ncols=2)

    rows = math.ceil(len(curves) / 2) if len(curves) > 1 else 0
    heading = f"{title}, {unit}" if unit else title
    return draw(name, heading, _alt(title, curves, unit), paint, height=205 + 18 * rows)


def draw_by_epoch(name: str, title: str, values: Sequence[float], unit: str) -> Chart:
    """A bar an epoch, and the median as a line."""
    middle = statistics.median(values)

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="y")
        axes.bar(range(1, len(values) + 1), values, color=SERIES[0], width=0.7)
        axes.axhline(middle, color=INK, linewidth=1, linestyle=_DASHES[1])
        axes.set_xlim(0.4, len(values) + 0.6)
        axes.set_xticks(_whole_numbers(len(values)))
        axes.set_xlabel("epoch")

    alt = (
        f"Bar chart of {title.lower()} by epoch: from {min(values):.3g} to {max(values):.3g} {unit}"
        f", median {middle:.3g}"
    )
    return draw(name, f"{title}, {unit} (median {middle:.3g})", alt, paint, height=180)


def _heights(curve):
    return [*curve.values, *(high for _, high in curve.band)]


def _looks():
    return itertools.product(_DASHES, SERIES)


def _whole_numbers(longest):
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**9) if longest <= 10 * s)
    return [1] if longest == 1 else list(range(step if step > 1 else 1, longest + 1, step))


def _alt(title, curves, unit):
    of = f" in {unit}" if unit else ""
    parts = [
        f"{curve.title + ' ' if curve.title else ''}from {curve.values[0]:.4g} in the first epoch "
        f"to {curve.values[-1]:.4g} in the last of {len(curve.values)}"
        for curve in curves
    ]
    return f"Line chart of {title}{of}: {'; '.join(parts)}"

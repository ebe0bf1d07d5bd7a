"""What weak negatives are worth, by their weight."""

from collections.abc import Sequence

from keras_patchpu.reporting.charts.drawing import BLUE, GRID, INK, MUTED, Chart, draw


def draw_tenths(name: str, tenths: Sequence[dict], base_rate: float | None) -> Chart:
    """Precision of the weak negatives of each tenth of the weights, and how many there are.

    Args:
        name: see `draw`.
        tenths: see `weak_negative_report`.
        base_rate: precision of a guess, drawn as a line.
    """
    filled = [tenth for tenth in tenths if tenth["count"]]

    def paint(figure):
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1), "hspace": 0.06}
        )
        upper.grid(axis="y")
        places = [(tenth["above"] + tenth["up_to"]) / 2 for tenth in filled]
        precisions = [100 * tenth["precision"] for tenth in filled]
        upper.plot(places, precisions, marker="o", markersize=6, color=BLUE)
        lowest = min([*precisions, 100 * (base_rate or 1)], default=100)
        upper.set_ylim(max(0, lowest - 5), 101)
        if base_rate is not None:
            upper.axhline(100 * base_rate, color=INK, linewidth=1, linestyle=(0, (4, 2)))
            upper.annotate(
                f"a guess: {100 * base_rate:.1f}",
                (0.01, 100 * base_rate),
                xytext=(0, -11),
                textcoords="offset points",
                fontsize=9.5,
            )
        upper.set_ylabel("truly absent, %")
        counts = [tenth["count"] for tenth in filled]
        lower.bar(places, counts, width=0.09, color=GRID, edgecolor=MUTED)
        lower.set_yscale("log")
        lower.set_ylim(bottom=0.7)
        lower.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
        lower.minorticks_off()
        lower.set_ylabel("pairs")
        lower.set_xlim(0, 1)
        lower.set_xlabel("weight of the weak negative")

    parts = [
        f"above {tenth['above']:g}: {100 * tenth['precision']:.1f} of {tenth['count']:,}"
        for tenth in filled
    ]
    alt = f"Precision of weak negatives in percent by their weight: {'; '.join(parts)}"
    return draw(name, "Precision by weight", alt, paint, height=285)

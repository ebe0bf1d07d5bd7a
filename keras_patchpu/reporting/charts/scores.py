"""How scores are spread, and whether they are right as often as they say."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from keras_patchpu.reporting.calibration import Calibration
from keras_patchpu.reporting.charts.drawing import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    Chart,
    draw,
)
from keras_patchpu.reporting.score_groups import ScoreGroup

# Scores, and what they are called in percent.
_TICKS = {
    1e-14: "10⁻¹²",
    1e-10: "10⁻⁸",
    1e-6: "10⁻⁴",
    1e-4: "0.01",
    0.01: "1",
    0.1: "10",
    0.5: "50",
    0.9: "90",
    0.99: "99",
    1 - 1e-4: "99.99",
}
_NUM_BINS = 45
# As many logits are shown to each side of a score of 50%, if not more.
_LEAST = 4.0
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)


def draw_score_groups(name: str, title: str, groups: Sequence[ScoreGroup]) -> Chart:
    """A curve a group: which share of it has which score; at most four groups, one at least."""
    low, high = _range(groups)
    edges = np.linspace(low, high, _NUM_BINS + 1)

    def paint(figure):
        axes = figure.add_subplot()
        axes.grid(axis="x")
        for group, colour in zip(groups, _COLOURS, strict=False):
            shares = np.histogram(np.clip(group.logits, low, high), edges)[0]
            shares = 100 * shares / len(group.logits)
            label = f"{group.title} ({len(group.logits):,})"
            axes.stairs(shares, edges, color=colour, linewidth=1.6, label=label)
            axes.stairs(shares, edges, color=colour, fill=True, alpha=0.12)
        ticks = _ticks(low, high)
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("score, % (even in logits)")
        axes.set_ylabel("share of the group, %")
        figure.legend(loc="outside lower left")

    medians = [
        f"{group.title}, {len(group.logits):,} pairs, median {100 * _score(group.logits):.2g} "
        "percent"
        for group in groups
    ]
    alt = f"Distribution of scores, {title}: {'; '.join(medians)}"
    return draw(name, title, alt, paint, height=215 + 18 * len(groups))


def _range(groups):
    """Of nearly all logits; the others go to the outermost bins."""
    ends = [np.quantile(group.logits, (0.01, 0.99)) for group in groups]
    return min(-_LEAST, *(end[0] for end in ends)), max(_LEAST, *(end[1] for end in ends))


def _ticks(low, high):
    """Logits and what they are called, as far apart as can be read."""
    ticks = {0.0: _TICKS[0.5]}
    for score, name in sorted(_TICKS.items(), key=lambda tick: abs(tick[0] - 0.5)):
        logit = float(np.log(score / (1 - score)))
        is_free = all(abs(logit - other) > 0.075 * (high - low) for other in ticks)
        if low <= logit <= high and is_free:
            ticks[logit] = name
    return ticks


def _score(logits):
    return expit(float(np.median(logits)))


def draw_reliability(name: str, calibration: Calibration) -> Chart:
    """A point a bin, its score beside the truth, above the number of pairs in the bin."""
    full = calibration.counts > 0
    num_bins = len(full)

    def paint(figure):
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1), "hspace": 0.06}
        )
        upper.grid()
        upper.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        upper.plot(
            100 * calibration.mean_scores[full],
            100 * calibration.shares_present[full],
            marker="o",
            markersize=6,
            color=BLUE,
        )
        upper.set_ylim(-3, 103)
        upper.set_ylabel("present, %")
        middles = 100 * (np.arange(num_bins) + 0.5) / num_bins
        lower.bar(middles, calibration.counts, width=90 / num_bins, color=GRID, edgecolor=MUTED)
        lower.set_yscale("log")
        lower.set_ylim(bottom=0.7)
        lower.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
        lower.minorticks_off()
        lower.set_ylabel("pairs")
        lower.set_xlim(-3, 103)
        lower.set_xlabel("score, %")
        upper.annotate("scores are too low", (4, 90), fontsize=9.5, color=INK)
        upper.annotate("scores are too high", (96, 6), ha="right", fontsize=9.5, color=INK)

    points = [
        f"{100 * score:.0f} percent: {100 * share:.0f}"
        for score, share in zip(
            calibration.mean_scores[full], calibration.shares_present[full], strict=True
        )
    ]
    alt = f"Reliability diagram, mean score of a bin and share present: {'; '.join(points)}"
    return draw(name, "Scores and the truth", alt, paint, height=335)

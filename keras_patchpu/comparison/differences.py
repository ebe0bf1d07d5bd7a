"""Which differences between losses are larger than the spread over seeds."""

import itertools
import math
from collections.abc import Callable, Sequence

from scipy import stats

from keras_patchpu.comparison.results import Result, Row, mean_and_deviation

SIGNIFICANT = 0.05


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Welch's t-test, two-sided: how likely so large a difference is if there is none.

    None where it cannot be told: less than 2 values on a side, or no spread on either.
    """
    (mean, deviation), (other_mean, other_deviation) = map(mean_and_deviation, (first, second))
    if None in (deviation, other_deviation) or deviation == other_deviation == 0:
        return None
    test = stats.ttest_ind_from_stats(
        mean, deviation, len(first), other_mean, other_deviation, len(second), equal_var=False
    )
    return float(test.pvalue)


def differences_as_markdown(rows: Sequence[Row], figure: Callable[[Result], float]) -> str:
    """A table a model of the differences of means, in bold where the test tells them apart."""
    parts, num_pairs, num_seeds = [], 0, []
    for model, group in itertools.groupby(rows, lambda row: row.model):
        values = {row.loss: row.values(figure) for row in group if row.results}
        if len(values) < 2:
            continue
        num_pairs += math.comb(len(values), 2)
        num_seeds += map(len, values.values())
        losses = list(values)
        lines = [
            f"| {model} | {' | '.join(f'`{loss}`' for loss in losses)} |",
            f"|---|{'---:|' * len(losses)}",
        ]
        for loss in losses:
            cells = [_difference(values[loss], values[other]) for other in losses]
            cells[losses.index(loss)] = ""
            lines.append(f"| `{loss}` | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    if not parts:
        return "There are no two losses of one model to compare yet."
    return "\n\n".join([*parts, _rule(num_pairs, min(num_seeds))])


def _difference(first, second):
    difference = mean_and_deviation(first)[0] - mean_and_deviation(second)[0]
    p_value = welch_p_value(first, second)
    if p_value is None:
        return f"{difference:+.1f} ?"
    return f"**{difference:+.1f}**" if p_value < SIGNIFICANT else f"{difference:+.1f}"


def _rule(num_pairs, fewest_seeds):
    text = (
        "The row's mean less the column's. Bold: larger than the spread over seeds, by Welch's "
        f"two-sided t-test with p < {SIGNIFICANT}. It does not correct for the number of pairs: "
        f"of {num_pairs}, about {SIGNIFICANT * num_pairs:.1f} would be bold by chance alone. "
        '"?": cannot be tested, for want of a second seed or of any spread.'
    )
    if fewest_seeds < 3:
        text += (
            " **Two seeds decide little**: the test then has one or two degrees of freedom, so what"
            " is not bold may well differ, and one seed decides nothing."
        )
    return text

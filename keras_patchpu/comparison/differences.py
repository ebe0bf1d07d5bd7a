"""Which differences between losses, and models, are larger than the spread over seeds."""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Difference:
    """Of the means of two rows.

    Attributes:
        value: the first mean less the second.
        p_value: by `welch_p_value`.
    """

    value: float
    p_value: float | None

    @property
    def is_sure(self) -> bool:
        """Whether it is larger than the spread over seeds."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclasses.dataclass(frozen=True)
class DifferenceTable:
    """Differences between the losses of a model, or between models with the same loss.

    Attributes:
        name: the model, or `"loss"` where the lines are losses and the columns pairs of models.
        columns: their heads.
        lines: by loss, a cell a column; None where there is nothing to compare.
        num_pairs: that are compared.
    """

    name: str
    columns: list[str]
    lines: dict[str, list[Difference | None]]
    num_pairs: int


def difference_tables(
    rows: Sequence[Row], figure: Callable[[Result], float]
) -> list[DifferenceTable]:
    """A table for each model with two losses or more, then one of the models, if it has a line.

    In the first each pair is twice, with both signs: the mean of the line's loss less that of the
    column's.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.results:
            values.setdefault(row.model, {})[row.loss] = row.values(figure)
    tables = []
    for model, by_loss in values.items():
        if len(by_loss) > 1:
            lines = {
                loss: [
                    None if loss == other else _difference(by_loss[loss], by_loss[other])
                    for other in by_loss
                ]
                for loss in by_loss
            }
            tables.append(DifferenceTable(model, list(by_loss), lines, math.comb(len(by_loss), 2)))
    between = _between_models(values)
    return [*tables, between] if between.lines else tables


def _between_models(values):
    losses = dict.fromkeys(loss for by_loss in values.values() for loss in by_loss)
    pairs = itertools.combinations(values, 2)
    shared = {(a, b): values[a].keys() & values[b].keys() for a, b in pairs}
    shared = {pair: in_both for pair, in_both in shared.items() if in_both}
    lines = {
        loss: [
            _difference(values[a][loss], values[b][loss]) if loss in in_both else None
            for (a, b), in_both in shared.items()
        ]
        for loss in losses
        if any(loss in in_both for in_both in shared.values())
    }
    columns = [f"{a} less {b}" for a, b in shared]
    return DifferenceTable("loss", columns, lines, sum(map(len, shared.values())))


def _difference(first, second):
    value = mean_and_deviation(first)[0] - mean_and_deviation(second)[0]
    return Difference(value, welch_p_value(first, second))


def differences_as_markdown(rows: Sequence[Row], figure: Callable[[Result], float]) -> str:
    """The tables, with what the test tells apart in bold."""
    tables = difference_tables(rows, figure)
    if not tables:
        return "There are no two losses of one model, or models with one loss, to compare yet."
    parts = []
    for table in tables:
        columns = table.columns
        if table.name != "loss":
            columns = [f"`{loss}`" for loss in columns]
        lines = [f"| {table.name} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
        for loss, cells in table.lines.items():
            lines.append(f"| `{loss}` | {' | '.join(map(_as_markdown, cells))} |")
        parts.append("\n".join(lines))
    fewest_seeds = min(len(row.results) for row in rows if row.results)
    return "\n\n".join([*parts, _rule(sum(table.num_pairs for table in tables), fewest_seeds)])


def _as_markdown(difference):
    if difference is None:
        return ""
    if difference.p_value is None:
        return f"{difference.value:+.1f} ?"
    return f"**{difference.value:+.1f}**" if difference.is_sure else f"{difference.value:+.1f}"


def _rule(num_pairs, fewest_seeds):
    text = (
        "The line's mean less the column's, or as the column says. Bold: larger than the spread "
        f"over seeds, by Welch's two-sided t-test with p < {SIGNIFICANT}. It does not correct for "
        f"the number of pairs: of {num_pairs}, about {SIGNIFICANT * num_pairs:.1f} would be bold "
        'by chance alone. "?": cannot be tested, for want of a second seed or of any spread.'
    )
    if fewest_seeds < 3:
        text += (
            " **Two seeds decide little**: the test then has one or two degrees of freedom, so what"
            " is not bold may well differ, and one seed decides nothing."
        )
    return text

"""The charts of a report of a comparison."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from keras_patchpu.comparison.published import Source
from keras_patchpu.comparison.results import Row
from keras_patchpu.reporting.charts import Chart, Curve, DotRow, draw_costs, draw_curves, draw_dots
from keras_patchpu.reporting.comparison_facts import ComparedRun, ComparisonFacts
from keras_patchpu.reporting.run_charts import as_percents


def dots(
    rows: Sequence[Row],
    sources: Sequence[Source],
    published: Callable[[Row], list[tuple[float, Source]]],
) -> Chart:
    """Test mAP of each run after its last epoch.

    Args:
        rows: with a finished run each.
        sources: of published numbers.
        published: those of a row.
    """
    lines = [
        DotRow(
            row.model,
            row.loss,
            row.values(lambda result: result.last),
            row.sees == "all labels",
            [(value, sources.index(source)) for value, source in published(row)],
        )
        for row in rows
    ]
    return draw_dots("results", "Test mAP after the last epoch, %", lines)


def quality_curves(facts: ComparisonFacts) -> list[Chart]:
    """For each model the test mAP by epoch, a line a loss."""
    charts = []
    for number, (model, runs) in enumerate(_by_model(facts.ended)):
        losses = dict.fromkeys(run.cell.loss for run in runs)
        curves = [
            _curve(loss, [run.history["test_map"] for run in runs if run.cell.loss == loss])
            for loss in losses
        ]
        charts.append(draw_curves(f"curves-{number}", f"{model}: test mAP", curves, "%", True))
    return charts


def weak_negative_curves(facts: ComparisonFacts) -> list[Chart]:
    """For each model with weak negatives their precision and recall by epoch."""
    charts = []
    with_any = [run for run in facts.ended if run.weak_negatives]
    for number, (model, runs) in enumerate(_by_model(with_any)):
        curves = [
            _curve(title, [as_percents(run.weak_negatives, name) for run in runs])
            for title, name in (
                ("precision", "precision"),
                ("precision of a guess", "base_rate"),
                ("recall", "recall"),
            )
        ]
        title = f"{model}: weak negatives"
        charts.append(draw_curves(f"weak-{number}", title, curves, "%", True))
    return charts


def costs(rows: Sequence[Row]) -> list[Chart]:
    """The time of an epoch, and memory."""
    names = [f"{row.model} {row.loss}" for row in rows]
    seconds = [
        statistics.median(row.values(lambda result: result.seconds / result.epochs)) for row in rows
    ]
    memory = [max(row.values(lambda result: result.peak_memory_gb)) for row in rows]
    return [
        draw_costs("cost-time", "An epoch", names, seconds, "seconds"),
        draw_costs("cost-memory", "Peak memory", names, memory, "GB", digits=1),
    ]


def _by_model(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, list[ComparedRun]]]:
    for model in dict.fromkeys(run.cell.model for run in runs):
        yield model, [run for run in runs if run.cell.model == model]


def _curve(title, runs):
    """The mean of several runs, and their lowest and highest."""
    epochs = list(zip(*runs, strict=False))
    band = [(min(values), max(values)) for values in epochs] if len(runs) > 1 else []
    return Curve(title, [statistics.fmean(values) for values in epochs], band)

"""The comparison as a table: Markdown for people, CSV for programs."""

import csv
import pathlib
import statistics
from collections.abc import Sequence

from keras_patchpu.comparison.figures import RULES, frequent_figure
from keras_patchpu.comparison.notes import notes_as_markdown
from keras_patchpu.comparison.published import find_published
from keras_patchpu.comparison.results import Row, mean_and_deviation
from keras_patchpu.whole_file import replaced_whole

ADVICE = "see to the disk, then start again: what is trained stays"


def write_csv(path: pathlib.Path, rows: Sequence[Row]) -> None:
    """A line a row: each figure's mean and deviation, what it cost, what was published."""
    lines = []
    for row in rows:
        line = {"model": row.model, "loss": row.loss, "sees": row.sees}
        frequent = frequent_figure(rows)
        for figure in (*RULES, *([frequent] if frequent else [])):
            mean, deviation = mean_and_deviation(row.values(figure.of))
            line[f"{figure.column}_mean"] = _decimals(mean)
            line[f"{figure.column}_deviation"] = _decimals(deviation)
        line |= {
            "seeds": len(row.results),
            "epochs": _range(row.values(lambda result: result.epochs), "d"),
            "images_seen": _range(row.values(lambda result: result.images_seen), "d"),
            "images_per_second": _decimals(_speed(row)),
            "peak_memory_gb": _decimals(_memory(row)),
            "published": "; ".join(f"{figure} ({source.text})" for figure, source in _known(row)),
        }
        lines.append(line)
    with replaced_whole(path, ADVICE) as unfinished:
        with open(unfinished, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)


def write_markdown(path: pathlib.Path, rows: Sequence[Row], num_runs: int, command: str) -> None:
    """The table, and below it what it means and does not mean.

    Args:
        path: of the file.
        rows: see `group_by_loss`.
        num_runs: how many the grid has, finished or not.
        command: that made it.
    """
    figures = [*RULES]
    frequent = frequent_figure(rows)
    if frequent:
        figures.insert(1, frequent)
    sources = list(dict.fromkeys(source for row in rows for _, source in _known(row)))
    titles = [
        *("model", "loss", "sees"),
        *(f"test mAP, {figure.title}" for figure in figures),
        *("seeds", "epochs", "images seen", "images/s", "memory, GB"),
        *(["published elsewhere"] if sources else []),
    ]
    table = [_line(titles), _line(["---"] * 3 + ["---:"] * (len(titles) - 3))]
    for row in rows:
        cells = [row.model, f"`{row.loss}`", row.sees]
        cells += [_spread(row.values(figure.of)) for figure in figures]
        cells += [
            str(len(row.results)),
            _range(row.values(lambda result: result.epochs), "d"),
            _range(row.values(lambda result: result.images_seen), ",d"),
            _number(_speed(row)),
            _number(_memory(row)),
        ]
        if sources:
            cells.append(_published(row, sources))
        table.append(_line(cells))
    figure = frequent or RULES[0]
    text = notes_as_markdown("\n".join(table), rows, num_runs, command, sources, figure)
    with replaced_whole(path, ADVICE) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _spread(values):
    mean, deviation = mean_and_deviation(values)
    if mean is None:
        return "-"
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def _range(values, form):
    low_and_high = sorted({min(values), max(values)}) if values else ["-"]
    return " to ".join(str(v) if v == "-" else format(v, form) for v in low_and_high)


def _number(value):
    return "-" if value is None else f"{value:.3g}"


def _decimals(value):
    return "" if value is None else f"{value:.3f}"


def _speed(row):
    speeds = [speed for result in row.results for speed in result.images_per_second]
    return statistics.median(speeds) if speeds else None


def _memory(row):
    return max(row.values(lambda result: result.peak_memory_gb), default=None)


def _known(row):
    if not row.results:
        return []
    config = row.results[0].config
    return find_published(row.model, row.loss, config["weights"], config["data"])


def _published(row, sources):
    return ", ".join(
        f"{figure} {source.model} [{sources.index(source) + 1}]" for figure, source in _known(row)
    )

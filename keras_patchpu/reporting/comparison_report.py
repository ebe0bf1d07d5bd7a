"""The report of a comparison: `report.html`."""

import os
import pathlib
import statistics

import keras_patchpu
from keras_patchpu.comparison.differences import SIGNIFICANT, difference_tables
from keras_patchpu.comparison.figures import RULES, frequent_figure
from keras_patchpu.comparison.published import find_published
from keras_patchpu.comparison.results import mean_and_deviation
from keras_patchpu.reporting import comparison_charts
from keras_patchpu.reporting.comparison_facts import ComparisonFacts, gather_comparison_facts
from keras_patchpu.reporting.page import FILE, as_number, duration, render, write_page


def write_comparison_report(out: str | os.PathLike) -> pathlib.Path:
    """Writes the report of a comparison into its directory; gives its path.

    Raises:
        InputError: see `gather_comparison_facts`, or it cannot be written.
    """
    return write_page(out, render_comparison_report(gather_comparison_facts(out)))


def render_comparison_report(facts: ComparisonFacts) -> str:
    """The page: HTML that needs no other file, and links to the reports of the runs."""
    rows, ended = facts.rows, facts.ended
    content = {
        "title": f"Comparison on {ended[0].result.config['data']}" if ended else "Comparison",
        "name": facts.name,
        "version": keras_patchpu.__version__,
        "command": facts.command,
        "tiles": _tiles(facts),
        "num_ended": len(ended),
        "runs": [_run_row(run) for run in facts.runs],
        "sections": [("run", "What was compared")],
    }
    if ended:
        full = [row for row in rows if row.results]
        frequent = frequent_figure(rows)
        figures = [RULES[0], *([frequent] if frequent else []), *RULES[1:]]
        sources = list(dict.fromkeys(source for row in full for _, source in _published(row)))
        compared = frequent or RULES[0]
        content |= {
            "facts": _facts(facts),
            "figures": figures,
            "results": [_result_row(row, figures, sources) for row in full],
            "sources": [source.text for source in sources],
            "dots": comparison_charts.dots(full, sources, _published),
            "compared": compared.title,
            "differences": difference_tables(full, compared.of),
            "significant": SIGNIFICANT,
            "fewest_seeds": min(len(row.results) for row in full),
            "curves": comparison_charts.quality_curves(facts),
            "labels": _label_table(facts, full),
            "weak_curves": comparison_charts.weak_negative_curves(facts),
            "costs": comparison_charts.costs(full),
        }
        content["sections"] += [
            ("results", "Results"),
            ("differences", "Which differ"),
            ("labels", "Label by label"),
            *([("weak", "Weak negatives")] if content["weak_curves"] else []),
            ("cost", "Memory and speed"),
        ]
    content["sections"].append(("runs", "The runs"))
    return render("comparison.html.j2", **content)


def _tiles(facts):
    tiles = [("runs ended", f"{len(facts.ended)} of {len(facts.runs)}")]
    means = {}
    for row in facts.rows:
        if row.results:
            mean = mean_and_deviation(row.values(RULES[0].of))[0]
            means.setdefault(row.sees, []).append((mean, f"{row.model} {row.loss}"))
    for sees, values in means.items():
        mean, name = max(values)
        tiles.append((f"test mAP of {name}, the best that sees {sees}, %", f"{mean:.1f}"))
    if facts.ended:
        seconds = sum(run.result.seconds for run in facts.ended)
        tiles.append(("training in all", duration(seconds)))
    return tiles


def _facts(facts):
    config = facts.ended[0].result.config
    seeds = sorted({run.cell.seed for run in facts.runs})
    return [
        ("data", config["data"]),
        ("labels", as_number(len(config["label_names"]))),
        ("training images", as_number(config["num_train"])),
        ("held out to validate", as_number(config["num_validation"])),
        ("test images", as_number(config["num_test"])),
        ("observed", f"one positive an image, {config['draw']} draw"),
        ("seeds", ", ".join(map(str, seeds))),
        ("pictures", f"{config['image_size']} pixels square"),
        ("batches of", as_number(config["batch_size"])),
        ("optimizer", f"{config['optimizer']}, {config['learning_rate']:g} ({config['schedule']})"),
        ("augmentation", ", ".join(config["augment"]) or "none"),
    ]


def _published(row):
    config = row.results[0].config
    return find_published(row.model, row.loss, config["weights"], config["data"])


def _result_row(row, figures, sources):
    speeds = [speed for result in row.results for speed in result.images_per_second]
    return {
        "model": row.model,
        "loss": row.loss,
        "sees": row.sees,
        "figures": [_spread(row.values(figure.of)) for figure in figures],
        "seeds": len(row.results),
        "epochs": " to ".join(map(str, sorted({result.epochs for result in row.results}))),
        "speed": statistics.median(speeds),
        "memory": max(row.values(lambda result: result.peak_memory_gb)),
        "published": ", ".join(
            f"{value} {source.model} [{sources.index(source) + 1}]"
            for value, source in _published(row)
        ),
    }


def _spread(values):
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"


def _label_table(facts, rows):
    """For each label the mean average precision of each row, and the images; best label first."""
    runs = {}
    for run in facts.ended:
        runs.setdefault((run.cell.model, run.cell.loss), []).append(run)
    lines = []
    for name in facts.ended[0].result.config["label_names"]:
        means = [
            statistics.fmean(run.precisions[name] for run in runs[row.model, row.loss])
            for row in rows
        ]
        positives = facts.ended[0].positives[name]
        lines.append({"name": name, "precisions": means, "positives": positives})
    return {
        "heads": [f"{row.model} {row.loss}" for row in rows],
        "lines": sorted(lines, key=lambda line: -statistics.fmean(line["precisions"])),
    }


def _run_row(run):
    def link(path):
        return path.relative_to(run.directory.path.parent).as_posix() if path.exists() else None

    return {
        "cell": run.cell,
        "result": run.result,
        "time": duration(run.result.seconds) if run.result else "",
        "report": link(run.directory.path / FILE),
        "log": link(run.directory.path.with_name(f"{run.cell.name}.log")),
    }

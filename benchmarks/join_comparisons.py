"""Runs of compare.py, made on several days or machines, as one table and one plot.

    python benchmarks/join_comparisons.py comparisons/voc --runs runs.json \\
        --table table.csv --plot plot.png

Adds the finished runs of each directory of a comparison to RUNS, and makes the table and the plot
of all that are in there, with those of machines that are gone. Prints what can be told apart.
"""

import argparse
import dataclasses
import json
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
from keras_patchpu import comparison
from keras_patchpu.comparison.differences import differences_as_markdown
from keras_patchpu.comparison.figures import RULES, frequent_figure
from keras_patchpu.errors import InputError
from keras_patchpu.reporting.comparison_facts import gather_comparison_facts
from keras_patchpu.whole_file import replaced_whole

# What may differ between the runs of one row of the table, and between rows.
OF_A_RUN = {"num_train", "num_validation", "seed", "observed"}
OF_A_ROW = {*OF_A_RUN, "loss", "loss_options", "model"}
ADVICE = "give another path"


def read(path: pathlib.Path) -> dict[str, comparison.Result]:
    """The runs of a file, by their name."""
    if not path.exists():
        return {}
    found = [comparison.Result(**run) for run in json.loads(path.read_text(encoding="utf-8"))]
    found = [dataclasses.replace(run, cell=comparison.Cell(**run.cell)) for run in found]
    return {run.cell.name: run for run in found}


def add(runs: dict[str, comparison.Result], directory: pathlib.Path) -> None:
    """Adds what has ended in the directory of a comparison.

    Raises:
        InputError: a run has another configuration than those that are there.
    """
    for run in gather_comparison_facts(directory).ended:
        for other in runs.values():
            same_row = (other.cell.model, other.cell.loss) == (run.cell.model, run.cell.loss)
            config, wanted = run.result.config, other.config
            may_differ = OF_A_RUN if same_row else OF_A_ROW
            for name in sorted((config.keys() | wanted.keys()) - may_differ):
                if config.get(name) != wanted.get(name):
                    raise InputError(
                        f"{run.directory.path} has another {name} than {other.cell}: give each "
                        "configuration a file of its own"
                    )
        runs[run.cell.name] = run.result


def write(options: argparse.Namespace, runs: dict[str, comparison.Result]) -> None:
    """Writes the runs, the table and the plot, and prints what can be told apart."""
    content = json.dumps([dataclasses.asdict(run) for run in runs.values()], indent=1)
    # Of machines that are gone there is no other copy.
    with replaced_whole(options.runs, ADVICE) as path:
        path.write_text(content + "\n", encoding="utf-8")

    rows = comparison.group_by_loss([run.cell for run in runs.values()], [*runs.values()])
    comparison.write_csv(options.table, rows)
    config = next(iter(runs.values())).config
    title = (
        f"{config['data']}, {config['num_train']:,} images to train on, "
        f"{config['num_test']:,} to test, {config['image_size']} pixels: {len(runs)} runs"
    )
    comparison.draw_plot(options.plot, rows, title)
    print(differences_as_markdown(rows, (frequent_figure(rows) or RULES[0]).of))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directories", nargs="*", type=pathlib.Path, help="--out of compare.py")
    parser.add_argument("--runs", required=True, type=pathlib.Path, help="JSON, read and written")
    parser.add_argument("--table", required=True, type=pathlib.Path, help="CSV to write")
    parser.add_argument("--plot", required=True, type=pathlib.Path, help="PNG to write")
    options = parser.parse_args(arguments)
    try:
        runs = read(options.runs)
        for directory in options.directories:
            add(runs, directory)
        if not runs:
            raise InputError("no run has ended")
        write(options, runs)
    except (InputError, OSError) as error:
        print(f"join_comparisons: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

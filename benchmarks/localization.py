"""Measure where several runs find the labels, into one JSON file, and print a table of them.

    python benchmarks/localization.py runs/digits-* --data digits \\
        --out benchmarks/results/pointing_digits.json

Each run is measured by `recipes/localize.py --json`, which all other options go to. The table has
the mean and the standard deviation over the seeds of each loss on each model.
"""

import argparse
import collections
import json
import pathlib
import platform
import subprocess
import sys

import numpy as np

LOCALIZE = pathlib.Path(__file__).parents[1] / "recipes" / "localize.py"
TITLES = {
    "hit": "pointing",
    "centre_hit": "centre",
    "random_hit": "random",
    "energy": "energy",
    "area": "area",
}


def measure(run: pathlib.Path, options: list[str]) -> dict:
    """One run's model, loss, seed and mAP, and where it finds the labels."""
    command = [sys.executable, str(LOCALIZE), str(run), "--json", *options]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    config, metrics = (
        json.loads((run / name).read_text(encoding="utf-8"))
        for name in ("config.json", "metrics.json")
    )
    return {
        "model": config["model"],
        "loss": config["loss"],
        "seed": config["seed"],
        "image_size": config["image_size"],
        "patch_size": config["patch_size"],
        "mean_average_precision": metrics["mean_average_precision"],
        **json.loads(printed),
    }


def table(runs: dict[str, dict], mean: str) -> str:
    """A line a loss and model, of the means over labels under the key `mean`."""
    groups = collections.defaultdict(list)
    for run in runs.values():
        groups[run["model"], run["loss"]].append(run)
    lines = [
        f"| model | loss | seeds | {' | '.join(TITLES.values())} | mAP, all labels |",
        f"|---|---|---|{'---|' * len(TITLES)}---|",
    ]
    for (model, loss), group in sorted(groups.items()):
        cells = [_spread([run[mean][name] for run in group]) for name in TITLES]
        cells.append(_spread([run["mean_average_precision"] for run in group]))
        lines.append(f"| {model} | `{loss}` | {len(group)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values):
    spread = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=pathlib.Path, help="run directories")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    options, others = parser.parse_known_args()
    runs = {}
    for path in options.runs:
        runs[path.name] = measure(path, others)
        print(f"{path.name}: {runs[path.name]['mean']['hit']}", file=sys.stderr)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    content = {"command": " ".join(sys.argv), "machine": machine, "runs": runs}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(runs, "mean"))
    frequent = [run["mean_frequent"] for run in runs.values()]
    if all(frequent) and frequent != [run["mean"] for run in runs.values()]:
        least = next(iter(runs.values()))["frequent_means_at_least"]
        print(f"\nLabels with {least} pairs or more:\n\n{table(runs, 'mean_frequent')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Gather finished (or unfinished) training runs into one JSON file, and print a table of them.

    python benchmarks/collect.py runs/digits-* --out benchmarks/results/digits.json

Each run contributes its configuration, its history by epoch and, if it has ended, its metrics.
"""

import argparse
import collections
import csv
import json
import pathlib
import platform
import sys

import numpy as np


def read_run(path: pathlib.Path) -> dict:
    """One run's directory as JSON values."""
    run = {"config": json.loads((path / "config.json").read_text(encoding="utf-8"))}
    with open(path / "history.csv", newline="", encoding="utf-8") as file:
        run["history"] = [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
        ]
    if (path / "metrics.json").exists():
        run["metrics"] = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    return run


def table(runs: dict[str, dict]) -> str:
    """Mean and standard deviation of the last epoch's test mAP over the seeds of each loss."""
    by_loss = collections.defaultdict(list)
    for run in runs.values():
        by_loss[run["config"]["loss"]].append(run)
    lines = ["| loss | seeds | epochs | test mAP | images/s |", "|---|---|---|---|---|"]
    for loss, group in sorted(by_loss.items()):
        last = [run["history"][-1]["test_map"] for run in group]
        epochs = sorted({len(run["history"]) for run in group})
        speed = np.median([row["images_per_second"] for run in group for row in run["history"]])
        spread = f" +- {np.std(last, ddof=1):.1f}" if len(last) > 1 else ""
        lines.append(
            f"| `{loss}` | {len(group)} | {'-'.join(map(str, epochs))} | "
            f"{np.mean(last):.1f}{spread} | {speed:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=pathlib.Path, help="run directories")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    options = parser.parse_args()
    runs = {path.name: read_run(path) for path in options.runs if path.is_dir()}
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    content = {"command": " ".join(sys.argv), "machine": machine, "runs": runs}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

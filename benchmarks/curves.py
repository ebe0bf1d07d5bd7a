"""Draw loss and test mAP by epoch of the runs that collect.py gathered.

python benchmarks/curves.py benchmarks/results/voc_subset*.json --out docs/voc_curves.png
"""

import argparse
import json
import pathlib
import sys

from matplotlib.figure import Figure


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", type=pathlib.Path, help="JSON files of collect.py")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="PNG file to write")
    options = parser.parse_args()

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for file in options.results:
        for run in json.loads(file.read_text(encoding="utf-8"))["runs"].values():
            config, history = run["config"], run["history"]
            name = f"{config['loss']}, {config['image_size']} pixels, seed {config['seed']}"
            epochs = [row["epoch"] for row in history]
            for panel, column in zip(panels, ("loss", "test_map"), strict=True):
                panel.plot(epochs, [row[column] for row in history], label=name)
    for panel, title in zip(panels, ("training loss", "test mAP (%)"), strict=True):
        panel.set(xlabel="epoch", title=title, ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[1].legend(fontsize="small")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=110)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

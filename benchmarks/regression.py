"""Has a change made something slower or larger? Measures anew and compares with `results/`.

    python benchmarks/regression.py batch_normalization train_step
    python benchmarks/regression.py input --data /path/to/VOCdevkit
    python benchmarks/regression.py train_step --measured new.json

Compared are no seconds, which are those of a machine and of what else it did, but ratios between
contenders that took turns in one run. Each result is measured by the command that its file records.
All ratios are such that more is better.

Exit code 0: no ratio is lower by more than the tolerance; 1: one is; 2: it cannot be compared.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

RESULTS = pathlib.Path(__file__).with_name("results")


def batch_normalization(result):
    return {"fused over that of Keras": result["ratio"]}


def train_step(result):
    ratios = {}
    for size, of_size in result["results"].items():
        for name, over in of_size["over_pytorch"].items():
            ratios[f"{size} pixels, {name}: speed over PyTorch"] = over["images_per_second"]
            ratios[f"{size} pixels, {name}: PyTorch's memory over its"] = 1 / over["peak_mb"]
    return ratios


def serving(result):
    ratios = {}
    for other in ("model.predict", "PyTorch"):
        for batch, row in result["results"]["export"].items():
            reference = result["results"][other].get(batch)
            if isinstance(row, dict) and isinstance(reference, dict):
                speed = row["images_per_second"] / reference["images_per_second"]
                ratios[f"batch {batch}: speed over {other}"] = speed
                memory = reference["peak_mb"] / row["peak_mb"]
                ratios[f"batch {batch}: memory of {other} over its"] = memory
    return ratios


def input(result):
    return {
        f"{size} pixels, {name} over the training step": over
        for size, of_size in result["results"].items()
        for name, over in of_size["input_over_step"].items()
    }


RATIOS = {of.__name__: of for of in (batch_normalization, train_step, serving, input)}


def measure(name, before, data):
    """What the command of a result writes now, or None if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, f"{name}.json")
        command = shlex.split(before["command"])
        replaced = {"--out": str(out)} | ({"--data": data} if data else {})
        for option, value in replaced.items():
            if option in command:
                command[command.index(option) + 1] = value
        root = pathlib.Path(__file__).parents[1]
        # Its progress goes where it disturbs no table.
        ended = subprocess.run([sys.executable, *command], cwd=root, stdout=2)
        return json.loads(out.read_text()) if ended.returncode == 0 else None


def compare(before, after, tolerance):
    """Prints a line a ratio; how many are too low."""
    num_worse = 0
    for name, ratio in before.items():
        now = after.get(name)
        worse = now is None or now < ratio * (1 - tolerance)
        num_worse += worse
        value = "missing" if now is None else f"{now:.3g}"
        print(f"{'WORSE' if worse else 'ok':<6} {name}: {ratio:.3g}, now {value}")
    return num_worse


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=RATIOS, metavar="NAME", help=", ".join(RATIOS))
    parser.add_argument("--tolerance", type=float, default=0.25, help="default: 0.25")
    parser.add_argument("--data", metavar="DIR", help="in place of that of the recorded command")
    parser.add_argument(
        "--measured", type=pathlib.Path, metavar="FILE.json", help="compare it, measure nothing"
    )
    options = parser.parse_args(arguments)
    if options.measured and len(options.names) > 1:
        parser.error("--measured is one file: give one NAME")

    num_worse = 0
    for name in options.names:
        try:
            before = json.loads((RESULTS / f"{name}.json").read_text())
            if options.measured:
                after = json.loads(options.measured.read_text())
            else:
                after = measure(name, before, options.data)
            if after is None:
                print(f"regression: {name}: its command failed, see above", file=sys.stderr)
                return 2
            num_worse += compare(RATIOS[name](before), RATIOS[name](after), options.tolerance)
        except OSError as error:
            print(f"regression: {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
        except (ValueError, LookupError, TypeError) as error:
            print(
                f"regression: {options.measured or name} is no result of {name} ({error!r}): give "
                "the file that its command wrote",
                file=sys.stderr,
            )
            return 2
    return 1 if num_worse else 0


if __name__ == "__main__":
    sys.exit(main())

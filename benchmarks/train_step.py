"""How fast, and in how much memory, the model takes a training step, beside other ways to do it.

    pip install -e '.[benchmarks]'
    python benchmarks/train_step.py --out benchmarks/results/train_step.json

At 320 pixels (30 patches of an image) and 640 (130): the plain model, what could make it faster or
smaller, and the same network in PyTorch's channels_last. At 128 pixels (5 patches) the
TimeDistributed of Keras too, whose graph grows with the patches, and XLA. All start from the same
weights, and losses that have to be the same are compared.

Every contender has a process of its own, one at a time, so that its peak memory is its own. They
take turns, so that what else the machine does meets all of them alike. Reported are images a second
by the median of all calls but the first of a process, that one's seconds, and the peak memory.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import serving_contender
import train_step_contender

from keras_patchpu import PatchClassifier

HERE = pathlib.Path(__file__).parent
NUM_LABELS = 20
PATCH_SIZE = 64
LEVELS = {128: 2, 320: 3, 640: 4}
# Graphs and kernels that no larger size is worth waiting for.
SMALLEST_ONLY = ("TimeDistributed of Keras", "XLA")
# Those that compute the same loss from the same weights.
SAME = ("plain", "rematerialise", "bfloat16", "XLA", "PyTorch")
PACKAGES = ("tensorflow", "keras", "torch")


def prepare(folder, image_size, batch_size):
    """Writes what the contenders read."""
    keras.utils.set_random_seed(0)
    model = PatchClassifier(NUM_LABELS, image_size, PATCH_SIZE, LEVELS[image_size])
    serving_contender.write_model(model, folder)
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (batch_size, image_size // 8, image_size // 8, 3))
    np.save(folder / "images.npy", np.kron(coarse, np.ones((1, 8, 8, 1))).astype("float32"))
    observed = np.eye(NUM_LABELS, dtype="float32")[rng.integers(0, NUM_LABELS, batch_size)]
    np.save(folder / "observed.npy", observed)


def run(name, folder, calls):
    """What a contender prints, or None if it was killed for its memory."""
    script = HERE / "train_step_contender.py"
    command = [sys.executable, "-W", "ignore", script, name, folder, str(calls)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ended.returncode == -9:
        return None
    ended.check_returncode()
    return json.loads(ended.stdout)


def measure(names, folder, options):
    """By contender, what `report` shows."""
    answers = {name: [] for name in names}
    for _ in range(options.turns):
        for name in names:
            answers[name].append(run(name, folder, 1 + options.calls))
    return {name: summary(turns) for name, turns in answers.items()}


def summary(turns):
    if None in turns:
        return None
    images = turns[0]["images"]
    seconds = [value for turn in turns for value in turn["seconds"][1:]]
    return {
        "images_per_second": float(f"{images / statistics.median(seconds):.4g}"),
        "first_call_seconds": round(statistics.median(turn["seconds"][0] for turn in turns), 1),
        "peak_mb": round(max(turn["megabytes"] for turn in turns)),
        "loss": turns[0]["loss"],
    }


def report(image_size, results):
    lines = [f"{image_size} pixels{'images/s':>26} {'first s':>8} {'peak MB':>8} {'loss':>8}"]
    for name, row in results.items():
        if row is None:
            lines.append(f"{name:<26}   out of memory")
            continue
        lines.append(
            f"{name:<26} {row['images_per_second']:8.2f} {row['first_call_seconds']:8.1f} "
            f"{row['peak_mb']:8} {row['loss']:8.4f}"
        )
    return "\n".join(lines)


def disagreement(results):
    """How far the losses that should be the same lie apart."""
    same = [results[name]["loss"] for name in SAME if results.get(name)]
    return max(same) - min(same)


def over_pytorch(results):
    """Speeds and peak memories over those of PyTorch."""
    reference = results["PyTorch"]
    return {
        name: {key: round(row[key] / reference[key], 3) for key in ("images_per_second", "peak_mb")}
        for name, row in results.items()
        if row and reference
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--sizes", type=int, nargs="+", choices=LEVELS, default=list(LEVELS))
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3, help="processes of each contender")
    parser.add_argument("--calls", type=int, default=3, help="of a process, besides the first")
    options = parser.parse_args()
    try:
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        print(f"train_step: {error}: pip install -e '.[benchmarks]'", file=sys.stderr)
        return 2

    results = {}
    for size in options.sizes:
        names = [
            name
            for name in train_step_contender.CONTENDERS
            if size == min(LEVELS) or name not in SMALLEST_ONLY
        ]
        with tempfile.TemporaryDirectory() as folder:
            prepare(pathlib.Path(folder), size, options.batch_size)
            measured = measure(names, folder, options)
        print(report(size, measured), flush=True)
        if disagreement(measured) > 0.01:
            print("train_step: the losses of the first step are not the same", file=sys.stderr)
            return 1
        results[size] = {"measured": measured, "over_pytorch": over_pytorch(measured)}
    result = {
        "command": " ".join(sys.argv),
        "batch_size": options.batch_size,
        "results": results,
        "versions": versions,
        "cores": os.cpu_count(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

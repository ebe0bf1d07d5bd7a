"""A tiny job of many epochs: does memory stay flat?

    python benchmarks/many_epochs.py --epochs 2000 --out benchmarks/results/many_epochs.json

Trains `wn` on four scenes of digits as `train_voc.py` does, with all that it writes, in a process
whose resident memory is read after each epoch.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import tensorflow as tf

from keras_patchpu import data, training

PAGE = os.sysconf("SC_PAGE_SIZE")
RECIPE = training.Recipe(
    image_size=32, patch_size=16, num_levels=1, embedding_dim=8, batch_size=2, optimizer="adam"
)


def resident_mb() -> float:
    """Of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE / 1e6


def train(epochs: int, folder: pathlib.Path) -> list[float]:
    """Megabytes after each epoch."""
    scenes = data.read_digits("train", num_examples=4), data.read_digits("test", num_examples=2)
    run = training.Run(
        *scenes,
        observed=data.observe(scenes[0], "uniform", seed=0),
        draw="uniform",
        loss="wn",
        recipe=dataclasses.replace(RECIPE, epochs=epochs),
        seed=0,
        expected_positives=2.0,
    )
    megabytes = []
    training.train(
        run,
        str(folder / "run"),
        resume=False,
        saved_models=str(folder / "models"),
        report=lambda epoch: megabytes.append(round(resident_mb(), 1)),
        progress=False,
    )
    return megabytes


def summary(megabytes: list[float]) -> dict:
    """Medians of the tenth of the epochs that ends at a tenth, at a half, and at the end."""
    epochs = len(megabytes)
    tenth = max(1, epochs // 10)
    ends = {"tenth": tenth, "half": epochs // 2, "end": epochs}
    return {
        name: {"epoch": end, "mb": statistics.median(megabytes[max(0, end - tenth) : end])}
        for name, end in ends.items()
    }


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=2000, help="20 or more; default: 2000")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON file")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        megabytes = train(options.epochs, pathlib.Path(folder))
    result = {
        "epochs": options.epochs,
        "seconds": round(time.monotonic() - started, 1),
        "resident": summary(megabytes),
        "megabytes_every_20_epochs": megabytes[::20],
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["resident"], indent=2))
    return 0


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())

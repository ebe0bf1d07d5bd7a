"""A tiny job of many epochs: does memory stay flat?

    python benchmarks/many_epochs.py --epochs 2000 --out benchmarks/results/many_epochs.json

Trains `wn` on four scenes of digits as `train_voc.py` does, with all that it writes, and reads
after each tenth epoch how many megabytes are in use: allocated by the C library and not freed, by
Python too, whose own allocator is turned off. Resident memory is read as well, but that is what the
C library keeps: it grows in leaps, which hide a leak. Needs Linux with glibc 2.33 or later.
"""

import argparse
import ctypes
import dataclasses
import gc
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
# Epochs from one reading to the next: collecting the garbage takes as long as an epoch.
BETWEEN = 10
RECIPE = training.Recipe(
    image_size=32, patch_size=16, num_levels=1, embedding_dim=8, batch_size=2, optimizer="adam"
)


class Mallinfo2(ctypes.Structure):
    """What glibc's `mallinfo2` returns, in bytes; see its manual page."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    ]


mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2


def megabytes() -> dict[str, float]:
    """Of this process now."""
    gc.collect()
    allocated = mallinfo2()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return {
        "in_use": (allocated.uordblks + allocated.hblkhd) / 1e6,
        "resident": pages * PAGE / 1e6,
    }


def train(epochs: int, folder: pathlib.Path) -> list[dict[str, float]]:
    """`megabytes()` after each `BETWEEN` epochs."""
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
    readings = []

    def read(epoch):
        if epoch.row["epoch"] % BETWEEN == 0:
            readings.append(megabytes())

    training.train(
        run,
        str(folder / "run"),
        resume=False,
        saved_models=str(folder / "models"),
        report=read,
        progress=False,
    )
    return readings


def summary(readings: list[float]) -> dict:
    """Medians of the tenth of the epochs that ends at a tenth, at a half, and at the end."""
    tenth = len(readings) // 10
    ends = {"tenth": tenth, "half": len(readings) // 2, "end": len(readings)}
    return {
        name: {
            "epoch": end * BETWEEN,
            "mb": round(statistics.median(readings[end - tenth : end]), 2),
        }
        for name, end in ends.items()
    }


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=2000, help="100 or more; default: 2000")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON file")
    options = parser.parse_args(arguments)
    if options.epochs < 10 * BETWEEN:
        parser.error(f"--epochs {options.epochs} is too few: give {10 * BETWEEN} or more")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        readings = train(options.epochs, pathlib.Path(folder))
    kinds = {kind: [reading[kind] for reading in readings] for kind in readings[0]}
    summaries = {kind: summary(values) for kind, values in kinds.items()}
    result = {
        "epochs": options.epochs,
        "seconds": round(time.monotonic() - started, 1),
        **summaries,
        f"megabytes_every_{2 * BETWEEN}_epochs": {
            kind: [round(value, 2) for value in values[1::2]] for kind, values in kinds.items()
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(summaries, indent=2))
    return 0


if __name__ == "__main__":
    parse_arguments(None)  # to help or refuse at once
    if os.environ.get("PYTHONMALLOC") != "malloc":  # which Python reads when it starts
        environment = {**os.environ, "PYTHONMALLOC": "malloc"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    keras.utils.disable_interactive_logging()
    sys.exit(main())

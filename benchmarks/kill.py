"""Kills a training run again and again, at random moments: does it end where it would have ended?

    python benchmarks/kill.py --kills 20 --out benchmarks/results/kill.json

Runs `train_folder.py` on pictures of its own, first to the end, then over and over with `--resume`,
each time until SIGKILL while it resizes pictures into the cache, trains, writes a checkpoint, or
exports, in turn; after these four the run is let go on to its end and another one is begun. After
each kill every file that has its name is to be whole, and in the end all weights, the optimizer and
the state of the loss are to be those of the run that was not killed, to the last bit.

The runs are forks of one process that has imported TensorFlow and not used it.
"""

import argparse
import collections
import dataclasses
import io
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import h5py
import keras
import numpy as np
from PIL import Image

RECIPES = pathlib.Path(__file__).parents[1] / "recipes"
sys.path.insert(0, str(RECIPES))

import train_folder  # noqa: E402  as Python finds it for a script

OPTIONS = (
    "--loss role --expected-positives 1 --image-size 32 --patch-size 16 --levels 1 "
    "--batch-size 4 --epochs 6 --quiet"
)
PICTURES = 60


@dataclasses.dataclass(frozen=True)
class Life:
    """A run, from its begin to its end, with what it writes.

    Args:
        folder: of all that.
        pictures: where the data are.
    """

    folder: pathlib.Path
    pictures: pathlib.Path

    @property
    def run(self) -> pathlib.Path:
        return self.folder / "run"

    @property
    def exported(self) -> pathlib.Path:
        return self.folder / "models" / "run"

    def start(self) -> int:
        """Forks a process that trains; gives its number."""
        sys.stdout.flush()
        process = os.fork()
        if process:
            return process
        places = {
            "--images": self.pictures,
            "--labels": self.pictures / "labels.csv",
            "--out": self.run,
            "--saved-models": self.folder / "models",
            "--cache": self.folder / "cache",
        }
        arguments = [str(part) for pair in places.items() for part in pair]
        code = 1
        try:
            with open(self.folder / "log.txt", "a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            keras.utils.disable_interactive_logging()
            code = train_folder.main([*arguments, *OPTIONS.split(), "--resume"])
        finally:
            os._exit(code)

    def finish(self) -> None:
        """Trains to the end."""
        _, status = os.waitpid(self.start(), 0)
        if status:
            raise SystemExit(f"failed: {(self.folder / 'log.txt').read_text()[-2000:]}")

    def kill(self, has_come: Callable[[], bool], seconds: float) -> bool:
        """Trains until it is killed, that long after the moment has come; whether it came."""
        process = self.start()
        while not has_come():
            if os.waitpid(process, os.WNOHANG) != (0, 0):
                return False
            time.sleep(0.0005)
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        return os.WIFSIGNALED(status)

    def moments(self) -> dict[str, tuple[Callable[[], bool], float]]:
        """What to kill it in: when that has come, and the seconds that it then lasts at most."""
        checkpoints = self.run / "checkpoints"
        before = {path.name for path in checkpoints.glob("epoch-*.keras")}

        def new_checkpoint():
            return {path.name for path in checkpoints.glob("epoch-*.keras")} - before

        def exists(folder, pattern):
            return lambda: any(folder.glob(pattern))

        return {
            "cache": (exists(self.folder / "cache", ".unfinished-*"), 0.1),
            "training": (new_checkpoint, 0.5),
            "checkpoint": (exists(checkpoints, ".unfinished-*"), 0.05),
            "export": (exists(self.exported, ".unfinished-*"), 1.0),
        }


def make_pictures(folder: pathlib.Path) -> pathlib.Path:
    """Pictures of noise, and one label of each."""
    rng = np.random.default_rng(0)
    rows = ["file,label"]
    for number in range(PICTURES):
        noise = rng.integers(0, 255, (300, 400, 3), "uint8")
        Image.fromarray(noise).save(folder / f"{number:03d}.jpg")
        rows.append(f"{number:03d}.jpg,{'abc'[number % 3]}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def arrays_of(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All that a `.keras` file holds, which is checked against its checksums."""
    arrays = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile(path)
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(collect)
    return arrays


def files_in(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def check_whole(life: Life, finished: Life) -> None:
    """Raises an error if a file that has its name is not whole."""
    for path in life.run.rglob("[!.]*.keras"):
        arrays_of(path)
    for path in life.run.rglob("[!.]*.json"):
        json.loads(path.read_text())
    for path in life.folder.glob("cache/pictures-*.npy"):
        expected = (finished.folder / "cache" / path.name).read_bytes()
        assert path.read_bytes() == expected, path
    if (life.exported / "1").exists():
        assert files_in(life.exported / "1") == files_in(finished.exported / "1")


def check_same_end(life: Life, finished: Life) -> None:
    """Raises an error if the run is not in all that of one that was not killed."""
    one, other = (arrays_of(each.run / "model.keras") for each in (life, finished))
    assert one.keys() == other.keys() and len(one) > 100
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    histories = [
        [line.split(",")[:3] for line in (each.run / "history.csv").read_text().splitlines()]
        for each in (life, finished)
    ]
    assert histories[0] == histories[1]
    versions = sorted(path.name for path in life.exported.iterdir() if path.is_dir())
    assert versions == ["1"], versions


def measure(kills: int, seed: int, folder: pathlib.Path) -> dict:
    """Kills that many runs in all."""
    (folder / "pictures").mkdir()
    pictures = make_pictures(folder / "pictures")
    lives = iter(range(10**6))

    def begin():
        life = Life(folder / f"life-{next(lives)}", pictures)
        life.folder.mkdir()
        return life

    finished = begin()
    finished.finish()
    chance = random.Random(seed)
    done, missed, ends = collections.Counter(), 0, 0
    while done.total() < kills:
        life = begin()
        for name in life.moments():
            has_come, longest = life.moments()[name]
            seconds = chance.uniform(0, longest)
            if not life.kill(has_come, seconds):
                missed += 1
                continue
            check_whole(life, finished)
            done[name] += 1
            print(f"{done.total():3d} of {kills}  {name} + {seconds:.3f} s", flush=True)
            if done.total() == kills:
                break
        life.finish()
        check_whole(life, finished)
        check_same_end(life, finished)
        ends += 1
    return {
        "kills": dict(done),
        "ended before they were killed": missed,
        "runs with the weights of one that was not killed": ends,
        "seed": seed,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=0, help="of the seconds; default: 0")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.kills, options.seed, pathlib.Path(folder))
    result["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

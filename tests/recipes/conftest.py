"""A small VOC, the recipes as modules and as processes, and a run that was never interrupted."""

import contextlib
import dataclasses
import importlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
# 5 patches an image; 22 images are 2 full batches and one of 6.
SMALL = "--recipe small --image-size 64 --patch-size 32 --levels 2 --batch-size 8 --epochs 4"


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """What a run left, and what it printed."""

    out: pathlib.Path
    saved_models: pathlib.Path
    printed: str


@pytest.fixture(scope="session")
def import_script():
    """Imports a script of this repository: `import_script("recipes", "train_voc")`."""

    def run(folder, name):
        path = str(ROOT / folder)
        if path not in sys.path:
            sys.path.insert(0, path)  # as Python does for a script
        return importlib.import_module(name)

    return run


@pytest.fixture(scope="session")
def train_voc(import_script):
    """The module `recipes/train_voc.py`."""
    return import_script("recipes", "train_voc")


@pytest.fixture(scope="session")
def evaluate_recipe(import_script):
    """The module `recipes/evaluate.py`."""
    return import_script("recipes", "evaluate")


@pytest.fixture(scope="session")
def export_recipe(import_script):
    """The module `recipes/export.py`."""
    return import_script("recipes", "export")


@pytest.fixture(scope="session")
def compare(import_script):
    """The module `recipes/compare.py`."""
    return import_script("recipes", "compare")


@pytest.fixture(scope="session")
def predict(import_script):
    """The module `recipes/predict.py`."""
    return import_script("recipes", "predict")


@pytest.fixture(scope="session")
def start_process():
    """Starts a recipe as a process of its own.

    With `code`, that is run in its place; its first argument is the path of the recipe.
    """

    def start(arguments, cwd, recipe="train_voc.py", code=None, **environment):
        script = [ROOT / "recipes" / recipe]
        if code is not None:
            script = ["-c", code, *script]
        # The level of log messages is left to the recipe.
        inherited = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
        return subprocess.Popen(
            [sys.executable, *script, *arguments],
            cwd=cwd,
            env={**inherited, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ignored where pytest runs in the background of a script.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.fixture(scope="session")
def voc(make_voc, tmp_path_factory):
    """A VOCdevkit of 22 training and 10 test images, some of them of odd kinds."""
    folder = make_voc(tmp_path_factory.mktemp("data"), num_train=22, num_val=10, size=64)
    pictures = folder / "VOC2012" / "JPEGImages"
    Image.new("L", (40, 30), 200).save(pictures / "2008_000000.jpg")
    Image.new("CMYK", (40, 30), (200, 10, 10, 0)).save(pictures / "2008_000001.jpg")
    Image.new("RGB", (1, 1), "red").save(pictures / "2008_000002.jpg")
    # Pictures of another kind under a name as VOC gives it.
    Image.new("I;16", (40, 30), 40000).save(pictures / "2008_000003.jpg", "png")
    Image.new("P", (40, 30), 3).save(pictures / "2008_000022.jpg", "png")
    return folder


@pytest.fixture(scope="session")
def small_run(voc):
    """The arguments of a small run: `small_run(out, saved_models, "--loss", "an")`."""

    def arguments(out, saved_models, *more, data=voc):
        places = ["--data", data, "--out", out, "--saved-models", saved_models]
        return [*map(str, places), *SMALL.split(), *more]

    return arguments


@pytest.fixture(scope="session")
def finish(train_voc, small_run, tmp_path_factory):
    """A function that trains without interruption, in this process."""

    def run(*more):
        folder = tmp_path_factory.mktemp("uninterrupted")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = train_voc.main(small_run(folder / "run", folder / "models", *more))
        assert code == 0
        return FinishedRun(folder / "run", folder / "models", printed.getvalue())

    return run


@pytest.fixture(scope="session")
def finished(finish):
    """A run of `wn` that was never interrupted. Not to be written to."""
    return finish()


@pytest.fixture(scope="session")
def weights_of():
    """Every array in a `.keras` file: weights, optimizer and the state of the loss."""

    def read(path):
        arrays = {}

        def collect(name, item):
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        with zipfile.ZipFile(path) as archive:
            with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
                file.visititems(collect)
        assert len(arrays) > 50 and any("optimizer" in name for name in arrays)
        return arrays

    return read


@pytest.fixture(scope="session")
def assert_same_end(weights_of):
    """Checks that two run directories hold the same training, to the last bit."""

    def check(one, other):
        first, second = weights_of(one / "model.keras"), weights_of(other / "model.keras")
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        columns = [
            [line.split(",")[:3] for line in (run / "history.csv").read_text().splitlines()]
            for run in (one, other)
        ]
        assert columns[0] == columns[1]
        assert columns[0][0] == ["epoch", "loss", "test_map"]
        records = [
            path.read_text() if (path := run / "weak_negatives.json").exists() else None
            for run in (one, other)
        ]
        assert records[0] == records[1]

    return check


@pytest.fixture
def one_line_of(capfd):
    """Runs a recipe with bad input and gives its one line on standard error: all that it says."""

    def run(recipe, *arguments):
        assert recipe.main([str(argument) for argument in arguments]) == 2
        printed = capfd.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1, printed
        assert printed.err.startswith(f"{recipe.__name__}: "), printed.err
        return printed.err

    return run


@pytest.fixture
def one_line(train_voc, capsys):
    """Runs `train_voc.py` with bad input and gives its one line on standard error."""

    def run(arguments):
        assert train_voc.main(arguments) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert printed.err.endswith("\n") and printed.err.count("\n") == 1, printed.err
        assert printed.err.startswith("train_voc: ")
        return printed.err

    return run


@pytest.fixture
def grid_arguments(voc, tmp_path):
    """The arguments of a small comparison: `grid_arguments("patch:wn", seeds=[0])`."""

    def make(*grid, seeds=(0, 1)):
        places = ["--data", str(voc), "--out", str(tmp_path / "out")]
        return [*places, *SMALL.split(), "--epochs", "3", "--seeds", *map(str, seeds), *grid]

    return make

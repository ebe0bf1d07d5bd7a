"""Two logical CPUs train as one does with batches of the same size."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_patchpu
from keras_patchpu.errors import InputError
from keras_patchpu.training import mirrored_strategy
from keras_patchpu.training.mirrored import check_parts

SCRIPT = pathlib.Path(__file__).with_name("on_two_devices.py")
LOSSES = ["wn", "epr", "role", "en", "en+cl", "en+scl", "ll_r", "ll_ct", "ll_cp", "em+apl"]
NAMES = [*LOSSES, "patches", "chunks"]
MEMORIES = {"role", "en", "en+cl", "en+scl", "ll_cp", "em+apl"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """`results(name)`: the arrays of one device and of two."""
    folder = tmp_path_factory.mktemp("devices")
    path = os.pathsep.join([str(pathlib.Path(keras_patchpu.__file__).parents[1]), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path}
    environment["CUDA_VISIBLE_DEVICES"] = "-1"
    finished = subprocess.run(
        [sys.executable, SCRIPT, folder, *NAMES], env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return lambda name: [
        dict(np.load(folder / f"{name}.{number}.npz")) for number in ("one", "two")
    ]


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_two_devices_train_as_one(results, name):
    one, two = results(name)
    assert len(one["loss"]) == 3 and np.ptp(one["loss"]) > 0.01
    for what in ("loss", "mean_average_precision", "evaluated"):
        np.testing.assert_allclose(two[what], one[what], rtol=1e-5, err_msg=what)
    variables = [what for what in one if what.startswith("variable")]
    for what in variables:
        atol = 1e-5 * max(1, np.abs(one[what]).max())
        for copy in (what, what.removesuffix("0") + "1"):
            np.testing.assert_allclose(two[copy], one[what], rtol=0, atol=atol, err_msg=copy)
    assert any(one[what].shape[:2] == (10, 3) for what in variables) == (name in MEMORIES)


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "num_devices"), [(10, 9, 2), (13, 8, 4), (3, 8, 4)]
)
def test_every_device_needs_an_image_of_each_batch(num_examples, batch_size, num_devices):
    check_parts(10, 7, 2)
    check_parts(14, 8, 2)
    check_parts(9, 8, 1)
    with pytest.raises(InputError, match=f"leaves one of {num_devices} devices without any"):
        check_parts(num_examples, batch_size, num_devices)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_have_no_strategy(monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(InputError, match=f"not of KERAS_BACKEND={backend}"):
        mirrored_strategy()

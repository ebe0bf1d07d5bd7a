"""The backends of Keras say, train and remember the same from the same file."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import keras_patchpu

SCRIPT = pathlib.Path(__file__).with_name("on_backend.py")
LOSSES = [f"loss {name}" for name in ("wn", "role", "en", "en+scl", "ll_cp", "em+apl", "gr")]
# These, and JAX, which takes minutes to compile, are for `make long`.
SLOWEST = [pytest.param(name, marks=pytest.mark.long) for name in ("resnet50", "query2label")]

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow_only("starts the others itself")]
each_backend = pytest.mark.parametrize(
    "backend", [pytest.param("jax", marks=pytest.mark.long), "torch"]
)


def on_backend(backend, *arguments):
    path = os.pathsep.join([str(pathlib.Path(keras_patchpu.__file__).parents[1]), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    # JAX compiles in half the time what it then runs a little slower.
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    finished = subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """`results(backend, names)`: of each, the arrays by name that TensorFlow has, and `backend`."""
    folder = tmp_path_factory.mktemp("models")

    def load(backend, names):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if not (folder / f"{names[0]}.keras").exists():
            on_backend("tensorflow", "make", folder, *names)
        for each in ("tensorflow", backend):
            if not (folder / f"{names[0]}.{each}.npz").exists():
                on_backend(each, "run", folder, *names)
        return [
            [dict(np.load(folder / f"{name}.{each}.npz")) for each in ("tensorflow", backend)]
            for name in names
        ]

    return load


@each_backend
@pytest.mark.parametrize("name", ["patch", *SLOWEST])
def test_outputs_agree(results, backend, name):
    ((expected, outputs),) = results(backend, [name])
    assert np.abs(expected["logits"]).max() > 0.5  # not all alike
    for output in {"logits", "attention", "score_maps"} & expected.keys():
        np.testing.assert_allclose(outputs[output], expected[output], atol=1e-4, rtol=0)


def assert_trained_alike(expected, result, moving):
    """The same losses to 1e-5, and changes of each variable to a thousandth of the largest."""
    assert len(expected["loss"]) == 3 and np.ptp(expected["loss"]) > 0.01
    np.testing.assert_allclose(result["loss"], expected["loss"], rtol=1e-5)
    changes = [name for name in expected if name.startswith("moved")]
    assert sum(np.any(result[name]) for name in changes) >= moving
    for name in changes:
        atol = max(1e-3 * np.abs(expected[name]).max(), 1e-6)
        np.testing.assert_allclose(result[name], expected[name], atol=atol, rtol=0, err_msg=name)


@each_backend
def test_training_of_the_patch_model_agrees(results, backend):
    ((expected, result),) = results(backend, ["patch"])
    assert_trained_alike(expected, result, moving=100)


@each_backend
def test_training_with_each_kind_of_memory_agrees(results, backend):
    # Kernel and bias move, and of `wn` nothing more.
    for name, (expected, result) in zip(LOSSES, results(backend, LOSSES), strict=True):
        assert_trained_alike(expected, result, moving=2 if name == "loss wn" else 3)

"""A training run under the other backends of Keras, killed in between, and what is left of it."""

import importlib.util
import signal
import time

import numpy as np
import pytest

from keras_patchpu import data, serving, training
from keras_patchpu.training.evaluation import score

pytestmark = pytest.mark.long


@pytest.fixture
def pictures(make_voc, tmp_path):
    """In batches of 4 no smaller one is left, which JAX would compile everything for once more."""
    return make_voc(tmp_path / "data", num_train=8, num_val=4, size=64)


@pytest.fixture
def start(start_process, small_run, pictures, tmp_path):
    """Starts a run of two epochs under a backend: `start("jax", "run", "--resume")`."""
    # What one process has compiled the next one finds.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax")}
    cache["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    sizes = ("--batch-size", "4", "--epochs", "2")

    def run(backend, name, *more):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        arguments = small_run(tmp_path / name, tmp_path / "models", *sizes, *more, data=pictures)
        return start_process(arguments, tmp_path, KERAS_BACKEND=backend, **cache)

    return run


def printed_by(process):
    printed, errors = process.communicate(timeout=1200)
    assert process.returncode == 0 and errors == "", errors
    return printed


@pytest.mark.parametrize("backend, loss", [("jax", "role"), ("torch", "wn")])
def test_killed_and_resumed_run(start, pictures, assert_same_end, backend, loss, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "run"
    printed = printed_by(start(backend, "whole", "--loss", loss))
    assert "epoch   2/2" in printed and (whole / "report.html").exists()

    process = start(backend, "run", "--loss", loss)
    while not (out / "checkpoints" / "epoch-0001.keras").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (out / "model.keras").exists()
    printed = printed_by(start(backend, "run", "--loss", loss, "--resume"))
    assert "epoch   1/2" not in printed and "epoch   2/2" in printed
    assert_same_end(whole, out)

    # Here, under TensorFlow, the model answers as what was exported there.
    model = training.load_model(out / "model.keras")
    _, test = data.read_source(str(pictures), 0)
    logits = score(model, test, batch_size=4)
    local = serving.LocalModel.load(tmp_path / "models" / "run" / "1")
    answers = local.predict([data.read_encoded(test, row) for row in range(4)])
    scores = np.stack([answer.scores for answer in answers])
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-4)

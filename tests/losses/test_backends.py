"""The same losses and states under the other backends of Keras, in a process of their own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_patchpu

EPOCHS_BY_HAND = """
import json
import numpy as np
from keras import ops
from keras_patchpu import losses

rng = np.random.default_rng(0)
observed = np.eye(3, dtype="float32")[[0, 1, 2, 1, 0, 2]]
observed[2, 0] = -1
sizes = {"num_examples": 6, "num_labels": 3}
expected = {**sizes, "expected_positives": 1.6, "observed": observed}
options = {
    "en": expected,
    "ep": expected,
    "en+cl": expected,
    "en+scl": {**expected, "grid": (2, 2), "map_size": 3},
    "ll_cp": sizes,
    "em+apl": {**sizes, "warmup_epochs": 1},
}
logits = rng.normal(size=(3, 6, 3)).astype("float32")
attention = rng.uniform(size=(3, 6, 3, 5)).astype("float32")
crop = np.tile(np.array([0.1, 0.2, 0.7, 0.9], "float32"), (2, 1))
results = {}
for name in losses.LOSSES:
    if name in ("role", "wn"):
        continue
    settings = {"expected_positives": 1.6} if name == "epr" else options.get(name, {})
    loss = losses.get(name, **settings)
    results[name] = []
    for epoch in range(3):
        loss.begin_epoch(epoch, 3)
        for rows in np.array([[4, 0], [1, 5], [2, 3]]):
            z = ops.convert_to_tensor(observed[rows])
            y_true = {"observed": z, "labels": z, "index": rows, "crop": crop, "flip": rows > 2}
            y_pred = {"logits": logits[epoch][rows], "attention": attention[epoch][rows]}
            loss.training = True
            results[name].append(float(loss(y_true, y_pred)))
    for variable in () if loss.state is None else loss.state.variables:
        results[name] += np.ravel(variable.numpy()).astype("float64").tolist()
print("RESULTS", json.dumps(results))
"""


def results(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    path = os.pathsep.join([str(Path(keras_patchpu.__file__).parents[1]), *sys.path])
    finished = subprocess.run(
        [sys.executable, "-c", EPOCHS_BY_HAND],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.partition("RESULTS ")[2])


@pytest.mark.slow
@pytest.mark.tensorflow_only("starts the others itself")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree(backend):
    others = results(backend)
    for name, expected in results("tensorflow").items():
        np.testing.assert_allclose(others[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)

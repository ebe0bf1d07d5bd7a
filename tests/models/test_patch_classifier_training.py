"""The model in `compile`, `fit`, `evaluate`, and through a file."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import keras_patchpu
from keras_patchpu import PatchClassifier, losses, metrics

TINY = {"image_size": 64, "patch_size": 32, "num_levels": 2, "embedding_dim": 16}
NUM_IMAGES = 6


def data():
    """Images, and a dict of labels with everything that the pipeline can give."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_IMAGES, 64, 64, 3)).astype("float32")
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 0]], "float32")
    observed = np.eye(3, dtype="float32")[[2, 1, 0, 2, 1, 0]]
    return images, {"index": np.arange(NUM_IMAGES), "labels": labels, "observed": observed}


def role(**arguments):
    return losses.get(
        "role",
        num_examples=NUM_IMAGES,
        num_labels=3,
        expected_positives=1.6,
        observed=data()[1]["observed"],
        **arguments,
    )


def fit(model, epochs=1, **arguments):
    images, y_true = data()
    return model.fit(
        images, y_true, batch_size=2, epochs=epochs, shuffle=False, verbose=0, **arguments
    )


def state_of(model):
    """All that training changes: weights, estimated labels, slots of the optimizer, seeds."""
    variables = [*model.variables, *model.optimizer.variables]
    if model.loss.state is not None:
        assert any(variable is model.loss.state.logits for variable in variables)
    return [variable.numpy() for variable in variables]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model with `role` after one epoch, its file, and what became of it an epoch later."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.utils.set_random_seed(1)
    model = PatchClassifier(num_labels=3, patches_per_level=[3, 1], **TINY)
    # Three steps an epoch: the rate changes in the resumed one. LAMB takes twice the time.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 4], [1e-2, 5e-3, 1e-3])
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        loss=role(),
        metrics=[metrics.MeanAveragePrecision(max_examples=16)],
    )
    start = model.loss_state.logits.numpy()
    fit(model)
    model.save(path)
    saved = {"start": start, "estimated": model.loss_state.logits.numpy()}
    saved["outputs"] = {name: np.asarray(value) for name, value in model(data()[0]).items()}
    saved["state"] = state_of(model)
    fit(model)
    saved["state_later"] = state_of(model)
    return model, path, saved


def assert_equal(states, others):
    assert len(states) == len(others)
    for state, other in zip(states, others, strict=True):
        np.testing.assert_array_equal(state, other)


IGNORED = "ignore:__array__ implementation:DeprecationWarning"  # see pyproject.toml
RESUME = """
import sys
from pathlib import Path
import numpy as np
import keras
import keras_patchpu
path, given, result = sys.argv[1:]
arrays = np.load(given)
model = keras.models.load_model(path)
outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(arrays["images"]))
y_true = {name: arrays[name] for name in ("index", "labels", "observed")}
model.fit(arrays["images"], y_true, batch_size=2, shuffle=False, verbose=0)
variables = [*model.variables, *model.optimizer.variables]
state = {f"state_{i}": variable.numpy() for i, variable in enumerate(variables)}
np.savez(result, **outputs, **state)
"""


def test_fresh_process_loads_and_goes_on_to_the_same_bits(trained, tmp_path):
    _, path, saved = trained
    images, y_true = data()
    np.savez(tmp_path / "given.npz", images=images, **y_true)
    arguments = [str(path), str(tmp_path / "given.npz"), str(tmp_path / "result.npz")]
    package = str(Path(keras_patchpu.__file__).parents[1])
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-W", IGNORED, "-c", RESUME, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([package, *sys.path])},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    result = np.load(tmp_path / "result.npz")
    for name, expected in saved["outputs"].items():
        np.testing.assert_array_equal(result[name], expected)
    state = [result[f"state_{i}"] for i in range(len(result) - len(saved["outputs"]))]
    assert_equal(state, saved["state_later"])


def test_loaded_model_has_the_whole_state(trained):
    _, path, saved = trained
    model = keras.models.load_model(path)
    assert type(model) is PatchClassifier and type(model.loss) is losses.OnlineLabelEstimation
    assert_equal(state_of(model), saved["state"])
    np.testing.assert_array_equal(model.loss.state.logits, saved["estimated"])
    assert len(model.optimizer.optimizers) == 2
    for optimizer in model.optimizer.optimizers:
        assert int(optimizer.iterations) == 3


def test_estimated_labels_train_and_observed_ones_stay_high(trained):
    _, _, saved = trained
    observed = data()[1]["observed"]
    start, estimated = saved["start"], saved["estimated"]
    assert (start != estimated).all()
    np.testing.assert_allclose(start[observed == 1], np.log(0.995 / 0.005), rtol=1e-5)
    assert (np.abs(start[observed == 0]) < 0.406).all()


def test_evaluate_equals_scikit_learn_on_predictions(trained):
    model, _, _ = trained
    images, y_true = data()
    results = model.evaluate(images, y_true, batch_size=2, verbose=0, return_dict=True)
    scores = model.predict(images, batch_size=2, verbose=0)["logits"]
    expected = average_precision_score(y_true["labels"], scores, average="macro")
    assert results["mean_average_precision"] == pytest.approx(expected, rel=1e-5)


def test_estimator_steps_ten_times_the_rate_times_the_gradient(value_and_gradients):
    images, y_true = data()
    model = PatchClassifier(num_labels=3, **TINY)
    model.compile(keras.optimizers.SGD(0.01), loss=role(), run_eagerly=True)
    images, y_true = images[1:4], {name: value[1:4] for name, value in y_true.items()}
    variables = model.trainable_variables
    before = [variable.numpy() for variable in variables]
    loss, gradients = value_and_gradients(
        lambda: model.loss(y_true, model(images, training=True)), [], variables
    )
    assert float(model.train_on_batch(images, y_true)) == pytest.approx(float(loss), rel=1e-5)
    estimated = 0
    for variable, start, gradient in zip(variables, before, gradients, strict=True):
        rate = 0.1 if variable is model.loss.state.logits else 0.01
        estimated += rate == 0.1
        difference = variable.numpy() - start
        np.testing.assert_allclose(difference, -rate * gradient, rtol=1e-2, atol=1e-6)
    assert estimated == 1
    moved = np.flatnonzero((model.loss.state.logits.numpy() != before[-1]).any(axis=1))
    assert moved.tolist() == [1, 2, 3]  # the rows of the batch


def test_recompiling_puts_an_earlier_estimator_out_of_training(tmp_path):
    model = PatchClassifier(num_labels=3, **TINY)
    network = len(model.trainable_variables)
    model.compile("sgd", loss=role())
    assert len(model.trainable_variables) == network + 1
    assert isinstance(model.optimizer, keras.optimizers.MultiOptimizer)
    model.compile("sgd", loss=losses.get("wn"))
    assert len(model.trainable_variables) == network
    assert isinstance(model.optimizer, keras.optimizers.SGD)

    model.save(tmp_path / "model.keras")
    clone = keras.models.load_model(tmp_path / "model.keras")
    assert len(clone.trainable_variables) == network
    images, _ = data()
    np.testing.assert_array_equal(clone(images)["logits"], model(images)["logits"])

    model.compile("sgd", loss=role())
    assert len(model.trainable_variables) == network + 1


@pytest.mark.parametrize("name", ["wn", "role"])
def test_lamb_goes_on_after_a_file(name, tmp_path):
    loss = role() if name == "role" else losses.get(name, theta=0.2, stop_gradient=False)
    model = PatchClassifier(num_labels=3, **TINY)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1e-2, 1e-3])
    optimizer = keras.optimizers.Lamb(schedule, weight_decay=1e-4)
    model.compile(optimizer, loss=loss, run_eagerly=True)
    images, y_true = data()
    model.train_on_batch(images, y_true)
    model.save(tmp_path / "model.keras")
    clone = keras.models.load_model(tmp_path / "model.keras")
    assert type(clone.loss) is losses.LOSSES[name]
    assert clone.loss.get_config() == model.loss.get_config()
    assert clone.train_on_batch(images, y_true) == model.train_on_batch(images, y_true)
    assert_equal(state_of(clone), state_of(model))


def test_labels_as_a_plain_tensor_and_metrics_on_observed_labels():
    images, y_true = data()
    model = PatchClassifier(num_labels=3, **TINY)
    metric = metrics.MeanAveragePrecision(max_examples=16)
    model.compile("sgd", loss=losses.get("wn"), metrics=[metric], run_eagerly=True)
    scores = np.asarray(model(images)["logits"])
    # To the metric -1 is not known, here it is known to be absent.
    expected = average_precision_score(y_true["observed"], scores)
    y_true["observed"][0, 0] = y_true["observed"][3, 1] = -1
    del y_true["labels"]
    for labels in (y_true, y_true["observed"]):
        results = model.test_on_batch(images, labels, return_dict=True)
        assert results["mean_average_precision"] == pytest.approx(expected, rel=1e-5)
        model.reset_metrics()


def test_sample_weights():
    images, y_true = data()
    model = PatchClassifier(num_labels=3, **TINY)
    model.compile("sgd", loss=losses.get("an"), run_eagerly=True)
    only_last = np.array([0, 0, 0, 0, 0, NUM_IMAGES], "float32")
    weighted = model.test_on_batch(images, y_true, sample_weight=only_last)
    last = {name: value[-1:] for name, value in y_true.items()}
    assert float(weighted) == pytest.approx(float(model.test_on_batch(images[-1:], last)), rel=1e-5)

"""What the baselines share with the patch model: losses, files, policies, serving."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_patchpu
from keras_patchpu import losses
from keras_patchpu.models import Query2Label, ResNet50Classifier
from keras_patchpu.serving import export

LABELS, SIZE, NUM_IMAGES = 3, 64, 4
OPTIONS = {
    ResNet50Classifier: {},
    Query2Label: {
        "hidden_dim": 8,
        "num_heads": 2,
        "feedforward_dim": 8,
        "num_encoder_layers": 0,
        "num_decoder_layers": 1,
    },
}
# Other than the default, for each argument of a constructor.
OTHERS = {
    ResNet50Classifier: {
        "num_labels": 4,
        "image_size": 96,
        "weights": "imagenet",
        "dtype": "mixed_bfloat16",
    },
    Query2Label: {
        "num_labels": 4,
        "image_size": 96,
        "backbone": "resnet101",
        "weights": "imagenet",
        "hidden_dim": 12,
        "num_heads": 3,
        "feedforward_dim": 5,
        "num_encoder_layers": 1,
        "num_decoder_layers": 2,
        "dropout": 0.2,
        "dtype": "mixed_bfloat16",
    },
}
BASELINES = (ResNet50Classifier, Query2Label)


def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_IMAGES, SIZE, SIZE, 3)).astype("float32")
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]], "float32")
    observed = np.eye(3, dtype="float32")[[2, 1, 0, 2]]
    return images, {"index": np.arange(NUM_IMAGES), "labels": labels, "observed": observed}


def build(kind, **arguments):
    keras.utils.set_random_seed(0)
    return kind(LABELS, SIZE, **OPTIONS[kind], **arguments)


@pytest.fixture(scope="module")
def models(build_tiny):
    return {kind: build_tiny(build, kind) for kind in BASELINES}


def make_loss(name, model):
    """The loss with what it asks for, whichever it is."""
    known = {
        "num_examples": NUM_IMAGES,
        "num_labels": LABELS,
        "expected_positives": 1.5,
        "observed": data()[1]["observed"],
        "grid": model.attention_grids[0],
        "map_size": 2,
    }
    parameters = inspect.signature(losses.LOSSES[name]).parameters
    return losses.get(name, **{key: known[key] for key in parameters if key in known})


# === Training ===


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("kind", BASELINES)
def test_every_loss_trains(models, kind, name):
    model = models[kind]
    loss = make_loss(name, model)
    model.compile(keras.optimizers.SGD(0.01), loss=loss, run_eagerly=True)
    before = [variable.numpy() for variable in model.trainable_variables]
    images, y_true = data()
    history = model.fit(images, y_true, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for variable, start in zip(model.trainable_variables, before, strict=True):
        assert np.isfinite(variable.numpy()).all(), variable.path
        if variable.path.endswith("conv/kernel"):  # the first layer
            assert np.any(variable.numpy() != start)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch traces nothing")
@pytest.mark.parametrize("kind", BASELINES)
def test_a_step_is_traced_once(models, kind):
    model, traces = models[kind], []

    class Counting(losses.WeakNegative):
        def call(self, y_true, y_pred):
            traces.append(self.training)
            return super().call(y_true, y_pred)

    model.compile("adam", loss=Counting())
    images, y_true = data()
    for _ in range(2):
        model.fit(images, y_true, batch_size=2, epochs=2, verbose=0)
        model.evaluate(images, y_true, batch_size=2, verbose=0)
    assert traces.count(True) == 1
    if keras.backend.backend() == "tensorflow":  # JAX also asks for shapes, compiling nothing
        assert traces == [True, False]


# === Policies ===


@pytest.mark.parametrize("kind", BASELINES)
def test_mixed_precision(tiny_bodies, kind):
    images, y_true = data()
    model, exact = build(kind, dtype="mixed_bfloat16"), build(kind)
    exact.set_weights(model.get_weights())
    outputs, expected = model(images), exact(images)
    for name in set(outputs) - {"image_embeddings"}:
        assert keras.backend.standardize_dtype(outputs[name].dtype) == "float32"
        spread = np.ptp(expected[name])
        np.testing.assert_allclose(outputs[name], expected[name], atol=0.05 * spread + 0.02)
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    model.compile("adam", loss=losses.get("wn"))
    assert np.isfinite(model.train_on_batch(images, y_true))


@pytest.mark.parametrize("kind", BASELINES)
def test_global_policy(tiny_bodies, kind):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(kind)
    finally:
        keras.config.set_dtype_policy("float32")
    features = model.body(data()[0])
    assert keras.backend.standardize_dtype(features.dtype) == "bfloat16"
    assert kind.from_config(model.get_config()).get_config() == model.get_config()


# === Config and files ===


@pytest.mark.parametrize("kind", BASELINES)
def test_config_is_the_arguments_of_the_constructor(tiny_bodies, kind):
    parameters = set(inspect.signature(kind).parameters) - {"kwargs"}
    assert parameters == set(OTHERS[kind])
    defaults, model = build(kind).get_config(), kind(**OTHERS[kind], name="other")
    config = model.get_config()
    assert set(config) == parameters | {"name", "trainable"}
    for name in parameters:
        assert config[name] != defaults[name], name
    clone = kind.from_config(config)
    assert clone.get_config() == config
    assert [v.shape for v in clone.weights] == [v.shape for v in model.weights]


@pytest.mark.parametrize("kind", BASELINES)
def test_weights_to_begin_with_need_not_be_at_hand_later(tiny_bodies, kind, tmp_path):
    model = build(kind, weights="imagenet")
    assert all((weight == 0.5).all() for weight in model.body.get_weights())
    model.save(tmp_path / "model.keras")
    clone = keras.models.load_model(tmp_path / "model.keras")
    for weight, other in zip(model.get_weights(), clone.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    fresh = kind.from_config(model.get_config())
    assert not all((weight == 0.5).all() for weight in fresh.body.get_weights())
    assert fresh.get_config()["weights"] == "imagenet"


LOAD = """
import sys
import numpy as np
import keras
import keras_patchpu
path, images, result = sys.argv[1:]
model = keras.models.load_model(path)
outputs = keras.tree.map_structure(keras.ops.convert_to_numpy, model(np.load(images)))
np.savez(result, kind=type(model).__name__, loss=model.loss.name, **outputs)
"""
IGNORED = "ignore:__array__ implementation:DeprecationWarning"  # see pyproject.toml


@pytest.mark.long
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX compiles for minutes")
@pytest.mark.parametrize("kind", BASELINES)
def test_fresh_process_loads_a_real_one(kind, tmp_path):
    model = build(kind)
    model.compile("sgd", loss=make_loss("role", model))
    images, y_true = data()
    model.fit(images, y_true, batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    package = str(Path(keras_patchpu.__file__).parents[1])
    paths = [str(tmp_path / name) for name in ("model.keras", "images.npy", "result.npz")]
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-W", IGNORED, "-c", LOAD, *paths],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([package, *sys.path])},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    result = np.load(tmp_path / "result.npz")
    assert (str(result["kind"]), str(result["loss"])) == (kind.__name__, "role")
    for name, expected in model(images).items():
        np.testing.assert_array_equal(result[name], expected)


# === Serving ===


def served_equals_model(model, directory):
    import tensorflow as tf

    path = export(model, directory / "model", ["cat", "dog", "person"])
    images = data()[0]
    answer = tf.saved_model.load(str(path)).signatures["serve_images"](images=images)
    outputs = model(images)
    scores = np.asarray(keras.ops.sigmoid(outputs["logits"]))
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-4, atol=1e-5)
    order = np.argsort(-scores, axis=1, kind="stable")
    attention = np.take_along_axis(np.asarray(outputs["attention"]), order[:, :, None], axis=1)
    maps = attention.reshape(NUM_IMAGES, 3, 2, 2)  # one level: a map is the attention itself
    np.testing.assert_allclose(answer["attention_maps"], maps, rtol=1e-3, atol=1e-5)


@pytest.mark.tensorflow_only("a SavedModel")
@pytest.mark.parametrize("kind", BASELINES)
def test_served_as_it_is(tiny_bodies, kind, tmp_path):
    served_equals_model(build(kind), tmp_path)


@pytest.mark.tensorflow_only("a SavedModel")
@pytest.mark.long
def test_real_resnet_is_served(tmp_path):
    served_equals_model(build(ResNet50Classifier), tmp_path)

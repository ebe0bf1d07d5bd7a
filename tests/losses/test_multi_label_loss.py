"""What all losses have in common."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_patchpu import losses

BATCH, NUM_LABELS = 4, 3
OPTIONS = {
    "bce": {},
    "wn": {"theta": 0.3, "stop_gradient": False},
    "an": {},
    "epr": {"expected_positives": 1.38},
    "role": {"num_examples": 7, "num_labels": NUM_LABELS, "expected_positives": 1.38, "seed": 5},
}


@pytest.fixture
def y_true():
    rng = np.random.default_rng(0)
    return {
        "labels": rng.integers(0, 2, (BATCH, NUM_LABELS)).astype("float32"),
        "observed": np.eye(NUM_LABELS, dtype="float32")[rng.integers(0, NUM_LABELS, BATCH)],
        "index": np.array([6, 0, 3, 1]),
    }


@pytest.fixture
def y_pred():
    rng = np.random.default_rng(1)
    return {
        "logits": rng.normal(size=(BATCH, NUM_LABELS)).astype("float32"),
        "image_embeddings": rng.normal(size=(BATCH, NUM_LABELS, 5)).astype("float32"),
        "attention": np.full((BATCH, NUM_LABELS, 2), 0.5, "float32"),
    }


def test_table_is_complete():
    assert set(losses.LOSSES) == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_get(name):
    loss = losses.get(name, **OPTIONS[name])
    assert type(loss) is losses.LOSSES[name] and isinstance(loss, losses.MultiLabelLoss)
    assert loss.name == name
    config = loss.get_config()
    assert {key: config[key] for key in OPTIONS[name]} == OPTIONS[name]
    assert loss.supervised is (name == "bce")


@pytest.mark.parametrize("name", ["", "WN", "focal", None])
def test_unknown_name(name):
    with pytest.raises(ValueError, match="Expected one of bce, wn, an, epr, role. Received"):
        losses.get(name)


def test_unknown_option():
    with pytest.raises(TypeError, match="gamma"):
        losses.get("wn", gamma=1)
    with pytest.raises(TypeError, match="expected_positives"):
        losses.get("epr")


@pytest.mark.parametrize("name", OPTIONS)
def test_one_value_an_image_and_their_mean(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    y_true = {key: tf.constant(value, "float32") for key, value in y_true.items()}
    per_image = loss.call(y_true, y_pred)
    assert per_image.shape == (BATCH,)
    np.testing.assert_allclose(loss(y_true, y_pred), np.mean(per_image), rtol=1e-5)
    weights = np.array([0, 1, 2, 0.5], "float32")
    np.testing.assert_allclose(
        loss(y_true, y_pred, weights), np.mean(weights * per_image), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["bce", "wn", "an", "epr"])
def test_labels_come_as_a_tensor_or_in_a_dict(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    labels = y_true["labels" if loss.supervised else "observed"]
    np.testing.assert_array_equal(loss(labels, y_pred), loss(y_true, y_pred))


@pytest.mark.parametrize("name", OPTIONS)
def test_serialization_round_trip(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    config = keras.saving.serialize_keras_object(loss)
    clone = keras.saving.deserialize_keras_object(config)
    assert type(clone) is type(loss) and clone.get_config() == loss.get_config()
    np.testing.assert_array_equal(clone(y_true, y_pred), loss(y_true, y_pred))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_loss_and_gradient_are_finite_at_large_logits(name, size, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    signs = np.array([[1, -1, 1], [-1, 1, 1], [-1, -1, -1], [1, 1, 1]], "float32")
    inputs = [tf.constant(size * signs), tf.constant(y_pred["image_embeddings"])]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y_pred = {"logits": inputs[0], "image_embeddings": inputs[1]}
        value = loss(y_true, y_pred)
    assert np.isfinite(value)
    gradients = tape.gradient(value, inputs, unconnected_gradients="zero")
    assert np.any(gradients[0])
    for gradient in gradients:
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", OPTIONS)
def test_float32_whatever_the_outputs_are(name, y_true, y_pred):
    loss = losses.get(name, **OPTIONS[name])
    exact = loss(y_true, y_pred)
    rounded = loss(y_true, {key: tf.cast(value, "bfloat16") for key, value in y_pred.items()})
    assert rounded.dtype == tf.float32
    np.testing.assert_allclose(rounded, exact, rtol=0.05)

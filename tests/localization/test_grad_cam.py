"""Grad-CAM against class activation maps, and against a gradient by hand."""

import keras
import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.localization.grad_cam import GradCam
from keras_patchpu.models import Query2Label, ResNet50Classifier

LABELS, SIZE = 3, 96  # 3 x 3 places


@pytest.fixture(scope="module")
def images():
    places = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 3))
    return np.kron(places, np.ones((1, 32, 32, 1))).astype("uint8")


def test_of_a_cam_network_it_is_the_cam(build_tiny, images):
    model = build_tiny(ResNet50Classifier, LABELS, SIZE)
    rng = np.random.default_rng(0)
    kernel, bias = (rng.normal(size=w.shape) for w in model.score_maps.get_weights())
    model.score_maps.set_weights([kernel, bias])
    found = GradCam(model, model.body)(images)

    score_maps = np.asarray(model(images)["score_maps"])
    # Without the bias, which no gradient sees; each of the 9 places has a ninth of the weight.
    expected = np.maximum(score_maps - bias[:, None, None], 0) / 9
    assert found.shape == (4, LABELS, 3, 3) and found.dtype == np.float32
    assert (expected == 0).any() and (expected > 0).any()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def squared():
    """Logits that are sums of squares of the features' means, from a layer that is not nested."""
    inputs = keras.Input((SIZE, SIZE, 3))
    layer = keras.layers.Conv2D(5, 3, strides=24, padding="same", name="features")
    pooled = keras.ops.mean(layer(keras.layers.Rescaling(1 / 255)(inputs)), axis=(1, 2))
    score = keras.layers.Dense(LABELS, kernel_initializer="random_normal", name="score")
    outputs = {"logits": score(keras.ops.square(pooled)), "other": pooled}
    keras.utils.set_random_seed(0)
    return keras.Model(inputs, outputs)


def test_a_gradient_by_hand(squared, images):
    layer, score = squared.get_layer("features"), squared.get_layer("score")
    features = np.asarray(layer(images / 255), "float64")
    kernel = np.asarray(score.kernel, "float64")
    # d logit_l / d A_c at any of the 16 places: kernel_cl * 2 mean_c / 16.
    weights = 2 * features.mean(axis=(1, 2))[:, :, None] * kernel / 16
    expected = np.maximum(np.einsum("bhwc,bcl->blhw", features, weights), 0)
    found = GradCam(squared, layer)(images)
    assert found.shape == (4, LABELS, 4, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_of_a_transformer_head_by_finite_differences(build_tiny, images):
    keras.utils.set_random_seed(1)
    layers = {"num_encoder_layers": 0, "num_decoder_layers": 1}
    widths = {"hidden_dim": 8, "num_heads": 2, "feedforward_dim": 8}
    model = build_tiny(Query2Label, LABELS, SIZE, **layers, **widths)
    features = keras.Operation.output.fget(model.body)
    head = keras.Model(features, model.output["logits"])
    values = np.asarray(model.body(images), "float32")
    step = 1e-4 * np.abs(values).max()
    one_moved = step * np.eye(values[0].size).reshape(-1, 1, *values.shape[1:])
    moved = np.stack([values + one_moved, values - one_moved]).reshape(-1, *values.shape[1:])
    up, down = np.asarray(head(moved)).reshape(2, -1, len(images), LABELS)
    gradients = ((up - down) / (2 * step)).reshape(*values.shape[1:], len(images), LABELS)
    weights = gradients.mean(axis=(0, 1))  # (C, B, L)
    expected = np.maximum(np.einsum("bhwc,cbl->blhw", values, weights), 0)
    found = GradCam(model, model.body)(images)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.max())


def test_an_image_has_the_same_maps_in_any_batch(squared, images):
    grad_cam = GradCam(squared, squared.get_layer("features"))
    alone = np.concatenate([grad_cam(images[:1]), grad_cam(images[1:])])
    np.testing.assert_allclose(alone, grad_cam(images), rtol=1e-5, atol=1e-8)


def test_another_backend_is_refused(squared, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="runs on jax: set KERAS_BACKEND=tensorflow"):
        GradCam(squared, squared.get_layer("features"))

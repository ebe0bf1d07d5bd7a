"""What the class-activation-map network computes, against NumPy."""

import keras
import numpy as np
import pytest

from keras_patchpu.models import ResNet50Classifier

LABELS = 3
SIZE = 96  # 3 x 3 places


@pytest.fixture(scope="module")
def model(build_tiny):
    model = build_tiny(ResNet50Classifier, LABELS, SIZE)
    rng = np.random.default_rng(0)
    model.score_maps.set_weights(
        [rng.normal(size=weight.shape) for weight in model.score_maps.get_weights()]
    )
    return model


@pytest.fixture(scope="module")
def images():
    # Each place of its own colour, so that there is something to look at.
    places = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3))
    return np.kron(places, np.ones((1, 32, 32, 1))).astype("uint8")


def test_outputs_by_numpy(model, images):
    features = np.asarray(model.body(images), "float64")
    kernel, bias = (weight.astype("float64") for weight in model.score_maps.get_weights())
    maps = np.einsum("bhwf,fl->blhw", features, kernel[0, 0]) + bias[:, None, None]
    exponentials = np.exp(maps.reshape(2, LABELS, 9))
    attention = exponentials / exponentials.sum(axis=-1, keepdims=True)
    embeddings = np.einsum("blm,bmf->blf", attention, features.reshape(2, 9, -1))

    outputs = model(images)
    # A class activation map is what pooling and a dense layer give, place by place.
    logits = features.mean(axis=(1, 2)) @ kernel[0, 0] + bias
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(outputs["score_maps"], maps, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(outputs["attention"], attention, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(outputs["image_embeddings"], embeddings, rtol=1e-4, atol=1e-3)
    assert np.ptp(attention, axis=-1).min() > 0.1


def test_attention_lies_in_its_boxes(model, images):
    """The places are in the order of `attention_boxes`: a change in one box moves its scores."""
    before = np.asarray(model(images)["score_maps"]).reshape(2, LABELS, 9)
    changed = images.copy()
    ymin, xmin, ymax, xmax = model.attention_boxes[5]
    changed[:, ymin + 8 : ymax - 8, xmin + 8 : xmax - 8] = 0
    after = np.asarray(model(changed)["score_maps"]).reshape(2, LABELS, 9)
    moved = (np.abs(after - before) > 1e-3).any(axis=(0, 1))
    assert np.flatnonzero(moved).tolist() == [5]


@pytest.mark.slow
def test_real_resnet_equals_the_application_times_the_weights():
    model = ResNet50Classifier(20, 64)
    application = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(64, 64, 3)
    )
    application.set_weights(model.body.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
    features = np.asarray(application(keras.applications.resnet.preprocess_input(images.copy())))
    kernel, bias = model.score_maps.get_weights()
    expected = features.astype("float64").mean(axis=(1, 2)) @ kernel[0, 0] + bias
    outputs = model(images)
    np.testing.assert_allclose(outputs["logits"], expected, rtol=1e-3, atol=1e-3)
    assert outputs["image_embeddings"].shape == (2, 20, 2048)
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trainable == 23_534_592 + 20 * 2_049 == 23_575_572

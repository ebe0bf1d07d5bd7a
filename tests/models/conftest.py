"""A backbone that is built and traced in a moment."""

import contextlib

import keras
import pytest

from keras_patchpu.models import resnet_body


def tiny_body(include_top, weights, input_shape):
    """Stands in for a ResNet of `keras.applications`: 3 channels, one place for 32x32 pixels."""
    assert not include_top
    images = keras.Input(input_shape)
    x = keras.layers.Conv2D(3, 3, strides=4, padding="same", name="conv")(images)
    x = keras.layers.BatchNormalization(name="bn")(x)
    features = keras.layers.AveragePooling2D(8, name="pool")(keras.layers.ReLU(name="relu")(x))
    body = keras.Model(images, features)
    if weights == "imagenet":
        body.set_weights([0 * weight + 0.5 for weight in body.get_weights()])
    return body


@contextlib.contextmanager
def replaced_bodies():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet_body, "BODIES", {"resnet50": tiny_body, "resnet101": tiny_body})
        yield


@pytest.fixture
def tiny_bodies():
    """Models that are built in this test have a tiny body."""
    with replaced_bodies():
        yield


@pytest.fixture(scope="session")
def build_tiny():
    """Builds a model with a tiny body, in a fixture of a wider scope than a test."""

    def build(function, *args, **kwargs):
        with replaced_bodies():
            return function(*args, **kwargs)

    return build

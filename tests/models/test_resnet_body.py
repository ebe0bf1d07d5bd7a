"""The backbone equals that of `keras.applications`, whatever it is made of."""

import keras
import numpy as np
import pytest

from keras_patchpu.layers import BatchNormalization
from keras_patchpu.models import resnet_body
from keras_patchpu.models.resnet_body import ResNetModel

SIZE = 64


def some_images(count=2, dtype="uint8"):
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(dtype)


def convolutions(body):
    """The copy of the application inside."""
    return next(layer for layer in body.layers if isinstance(layer, keras.Model))


@pytest.fixture(scope="module")
def real():
    """A ResNet-50 of Keras, and its weights in ours."""
    application = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )
    rng = np.random.default_rng(0)
    # Statistics and biases away from 0 and 1.
    application.set_weights(
        [weight + rng.uniform(0, 0.02, weight.shape) for weight in application.get_weights()]
    )
    return application


@pytest.mark.slow
def test_equals_the_application_and_its_preprocessing(real, tmp_path):
    real.save_weights(tmp_path / "resnet.weights.h5")
    body = resnet_body.resnet_body("resnet50", SIZE, str(tmp_path / "resnet.weights.h5"))
    images = some_images(dtype="float32")
    expected = real(keras.applications.resnet.preprocess_input(images.copy()))
    assert expected.shape == (2, 2, 2, 2048)
    np.testing.assert_allclose(body(images), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(body(images), body(some_images()))  # integers

    trainable = sum(int(np.prod(variable.shape)) for variable in body.trainable_variables)
    assert (trainable, body.count_params()) == (23_534_592, 23_587_712)


def test_preprocessing_is_that_of_the_weights(tiny_bodies):
    body = resnet_body.resnet_body("resnet50", SIZE, None)
    prepare = keras.Model(body.input, body.operations[-2].output)  # what the convolutions see
    images = some_images(dtype="float32")
    expected = keras.applications.resnet.preprocess_input(images.copy())
    np.testing.assert_allclose(prepare(images), expected, rtol=1e-6, atol=1e-4)


def test_weights_reach_the_copy(tiny_bodies):
    body = resnet_body.resnet_body("resnet50", SIZE, "imagenet")
    assert all((weight == 0.5).all() for weight in body.get_weights())
    other = resnet_body.resnet_body("resnet50", SIZE, None)
    assert not all((weight == 0.5).all() for weight in other.get_weights())


def test_batch_normalization_is_the_fast_one_with_the_policy(tiny_bodies):
    body = resnet_body.resnet_body("resnet101", SIZE, None, "mixed_bfloat16")
    layers = {layer.name: layer for layer in convolutions(body).layers}
    assert type(layers["bn"]) is BatchNormalization
    assert {layers[name].dtype_policy.name for name in ("conv", "bn", "pool")} == {"mixed_bfloat16"}
    assert keras.config.dtype_policy().name == "float32"
    # Pixels less their means have more digits than bfloat16 holds.
    assert body.get_layer("minus_means").compute_dtype == "float32"
    assert keras.backend.standardize_dtype(body(some_images()).dtype) == "bfloat16"


@pytest.mark.parametrize("size, side", [(64, 2), (100, 4), (448, 14)])
def test_places(size, side):
    class Sized(ResNetModel):
        def __init__(self):
            images = keras.Input((2,))
            super().__init__(images, keras.layers.Dense(1)(images))
            self.image_size = size

    model = Sized()
    assert model.attention_grids == [(side, side)]
    boxes = model.attention_boxes
    assert boxes.shape == (side**2, 4)
    assert boxes[0].tolist() == [0, 0, 32, 32] and boxes[1].tolist() == [0, 32, 32, 64]
    assert boxes[-1].tolist() == [32 * (side - 1), 32 * (side - 1), size, size]


def test_unknown_backbone_is_an_error():
    with pytest.raises(ValueError, match="resnet50, resnet101. Received: backbone=resnet18"):
        resnet_body.resnet_body("resnet18", SIZE, None)


def test_unknown_weights_are_an_error_of_keras():
    with pytest.raises(ValueError, match="weights"):
        resnet_body.resnet_body("resnet50", SIZE, "no such file")

import keras
import numpy as np
import pytest
from keras import ops

from keras_patchpu.layers import BatchNormalization

ARGUMENTS = {"momentum": 0.8, "epsilon": 0.01}


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(0).normal(3, 2, (4, 5, 6, 3)).astype("float32")


def pair(dtype=None):
    """Our layer and that of Keras with the same weights, none at its start value."""
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 1.5, 3).astype("float32") for _ in range(4)]
    layers = []
    for layer_class in (BatchNormalization, keras.layers.BatchNormalization):
        layer = layer_class(dtype=dtype, **ARGUMENTS)
        layer.build((None, 5, 6, 3))
        layer.set_weights(weights)
        layers.append(layer)
    return layers


def test_training_equals_keras(inputs, value_and_gradients):
    ours, theirs = pair()
    cotangent = np.random.default_rng(2).normal(size=inputs.shape).astype("float32")
    for step in range(3):
        batch = inputs * (1 + step)
        (outputs, gradients), (expected, expected_gradients) = (
            value_and_gradients(
                lambda x, layer=layer: ops.multiply(cotangent, layer(x, training=True)),
                [batch],
                layer.trainable_variables,
            )
            for layer in (ours, theirs)
        )
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
        assert len(gradients) == 3
        for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-4)
        for variable, expected_variable in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_allclose(variable, expected_variable, rtol=1e-5, atol=1e-6)


def test_training_equals_numpy(inputs):
    layer = pair()[0]
    gamma, beta, old_mean, old_variance = layer.get_weights()
    outputs = layer(inputs, training=True)
    mean = inputs.mean(axis=(0, 1, 2), dtype="float64")
    variance = inputs.var(axis=(0, 1, 2), dtype="float64")
    expected = (inputs - mean) / np.sqrt(variance + 0.01) * gamma + beta
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.8 * old_mean + 0.2 * mean, rtol=1e-5)
    np.testing.assert_allclose(
        layer.moving_variance, 0.8 * old_variance + 0.2 * variance, rtol=1e-5
    )


def test_inference_equals_keras(inputs):
    ours, theirs = pair()
    np.testing.assert_allclose(ours(inputs), theirs(inputs), rtol=1e-6)
    np.testing.assert_array_equal(ours.get_weights(), theirs.get_weights())


def test_frozen_layer_is_in_inference(inputs):
    ours, theirs = pair()
    ours.trainable = theirs.trainable = False
    outputs = ours(inputs, training=True)
    np.testing.assert_allclose(outputs, theirs(inputs, training=True), rtol=1e-6)
    np.testing.assert_array_equal(ours.get_weights(), theirs.get_weights())


def test_single_value_a_channel():
    layer, other = pair()
    inputs = np.ones((1, 1, 1, 3), "float32")
    np.testing.assert_allclose(
        layer(inputs, training=True), other(inputs, training=True), rtol=1e-6
    )
    np.testing.assert_allclose(layer.moving_variance, other.moving_variance, rtol=1e-6)


def test_mixed_precision(inputs):
    ours, theirs = pair("mixed_bfloat16")
    outputs = ours(inputs, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    expected = ops.cast(theirs(inputs, training=True), "float32")
    np.testing.assert_allclose(ops.cast(outputs, "float32"), expected, rtol=0.02, atol=0.02)
    for variable in ours.variables:
        assert variable.dtype == "float32"
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-2)
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-2)


@pytest.mark.tensorflow_only("others compile for known sizes")
def test_unknown_batch_and_size(inputs):
    import tensorflow as tf

    ours, theirs = pair()
    function = tf.function(lambda x: ours(x, training=True))
    concrete = function.get_concrete_function(tf.TensorSpec((None, None, None, 3)))
    np.testing.assert_allclose(
        concrete(ops.array(inputs)), theirs(inputs, training=True), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, shape",
    [
        ({"scale": False}, (4, 5, 6, 3)),
        ({"center": False}, (4, 5, 6, 3)),
        ({"axis": 1}, (4, 3, 3, 3)),
        ({"axis": 3}, (4, 5, 6, 3)),
        pytest.param(
            {"dtype": "float64"},
            (4, 5, 6, 3),
            marks=pytest.mark.tensorflow_only("JAX has no float64 unless it is asked for"),
        ),
        ({"renorm": True}, (4, 5, 6, 3)),
        ({}, (4, 3)),
        ({}, (4, 5, 3)),
    ],
)
def test_what_the_kernel_cannot_do_equals_keras(arguments, shape):
    inputs = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    ours, theirs = BatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    outputs, expected = ours(inputs, training=True), theirs(inputs, training=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    for weight, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, err_msg=weight.path)


def test_mask_equals_keras(inputs):
    mask = np.random.default_rng(0).integers(0, 2, inputs.shape[:3]).astype(bool)
    ours, theirs = pair()
    outputs, expected = (layer(inputs, training=True, mask=mask) for layer in (ours, theirs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-5)

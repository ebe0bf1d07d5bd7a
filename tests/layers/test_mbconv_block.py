import keras
import numpy as np
import pytest
from keras import ops

from keras_patchpu.layers import MBConvBlock

# Of EfficientNet-B0: input channels, filters, kernel size, strides, expand ratio.
BLOCKS = {
    "block1a": (32, 16, 3, 1, 1),
    "block2a": (16, 24, 3, 2, 6),
    "block2b": (24, 24, 3, 1, 6),
    "block3a": (24, 40, 5, 2, 6),
    "block3b": (40, 40, 5, 1, 6),
}
LAST_LAYER_BEFORE = {
    "block1a": "stem_activation",
    "block2a": "block1a_project_bn",
    "block2b": "block2a_project_bn",
    "block3a": "block2b_add",
    "block3b": "block3a_project_bn",
}
LAST_LAYER = {
    name: f"{name}_add" if name.endswith("b") else f"{name}_project_bn" for name in BLOCKS
}


@pytest.fixture(scope="module")
def efficientnet():
    network = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(64, 64, 3)
    )
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        if layer.name.endswith("_drop"):
            layer.rate = 0.0  # stochastic depth, which the project leaves out
    return network


def reference_block(efficientnet, name):
    return keras.Model(
        efficientnet.get_layer(LAST_LAYER_BEFORE[name]).output,
        efficientnet.get_layer(LAST_LAYER[name]).output,
    )


def our_block(reference, name, dtype=None):
    channels, *arguments = BLOCKS[name]
    block = MBConvBlock(*arguments, dtype=dtype)
    block.build((None, 16, 16, channels))
    block.set_weights(reference.get_weights())
    return block


@pytest.mark.parametrize("name", BLOCKS)
def test_block_equals_efficientnet(efficientnet, name):
    reference = reference_block(efficientnet, name)
    block = our_block(reference, name)
    inputs = np.random.default_rng(1).normal(size=(3, *reference.input_shape[1:]))
    inputs = inputs.astype("float32")
    outputs = block(inputs)
    assert outputs.shape == block.compute_output_shape(inputs.shape)
    np.testing.assert_allclose(outputs, reference(inputs), rtol=1e-4, atol=1e-5)

    statistics = reference.get_weights()
    expected = reference(inputs, training=True)
    np.testing.assert_allclose(block(inputs, training=True), expected, rtol=1e-3, atol=1e-4)
    for ours, theirs in zip(block.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    reference.set_weights(statistics)


def test_gradients_equal_efficientnet(efficientnet, value_and_gradients):
    reference = reference_block(efficientnet, "block2a")
    block = our_block(reference, "block2a")
    inputs = np.random.default_rng(1).normal(size=(3, 9, 12, 16)).astype("float32")
    inputs = np.pad(inputs, [(0, 0), (0, 23), (0, 20), (0, 0)])
    statistics = reference.get_weights()
    gradients = []
    for layer in (block, reference):
        _, found = value_and_gradients(
            lambda x, layer=layer: ops.sin(layer(x, training=True)),
            [inputs],
            layer.trainable_variables,
        )
        gradients.append(found)
    reference.set_weights(statistics)
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-2 * np.abs(theirs).max())


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_stride_two_halves_and_rounds_up(size, kernel_size):
    block = MBConvBlock(4, kernel_size, strides=2, expand_ratio=2)
    outputs = block(np.ones((2, size, size + 1, 3), "float32"))
    assert outputs.shape == (2, -(-size // 2), -(-(size + 1) // 2), 4)
    assert block.compute_output_shape((None, size, size + 1, 3)) == (None, *outputs.shape[1:])


def test_input_is_added_only_where_shapes_allow():
    inputs = np.random.default_rng(0).normal(size=(1, 4, 4, 6)).astype("float32")
    block = MBConvBlock(6, expand_ratio=1)
    block.build(inputs.shape)
    block.set_weights([np.zeros(weight.shape) for weight in block.weights])
    np.testing.assert_array_equal(block(inputs), inputs)

    block = MBConvBlock(5, expand_ratio=1)
    block.build(inputs.shape)
    block.set_weights([np.zeros(weight.shape) for weight in block.weights])
    np.testing.assert_array_equal(block(inputs), np.zeros((1, 4, 4, 5)))


def test_config_round_trip():
    block = MBConvBlock(8, 5, strides=2, expand_ratio=4, squeeze_ratio=0.5, name="block")
    config = keras.saving.serialize_keras_object(block)
    clone = keras.saving.deserialize_keras_object(config)
    assert clone.get_config() == block.get_config()
    inputs = np.ones((1, 6, 6, 8), "float32")
    block(inputs)
    clone(inputs)
    clone.set_weights(block.get_weights())
    np.testing.assert_array_equal(clone(inputs), block(inputs))

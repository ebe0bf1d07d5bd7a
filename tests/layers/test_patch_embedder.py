import keras
import numpy as np
import pytest

from keras_patchpu.layers import PatchEmbedder


def efficientnet_cut(input_shape):
    """`keras.applications.EfficientNetB0` up to `block3b_add`, with random statistics."""
    network = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=input_shape
    )
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if layer.name.endswith("_bn"):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        if layer.name.endswith("_drop"):
            layer.rate = 0.0  # stochastic depth, which the project leaves out
    return keras.Model(network.input, network.get_layer("block3b_add").output)


def embedder_with_weights_of(cut, embedding_dim=5):
    embedder = PatchEmbedder(embedding_dim)
    embedder.build(cut.input_shape)
    # The three weights of the Normalization in front are mean 0, variance 1 and a count.
    names = [weight.path for weight in cut.weights[:3]]
    assert all("normalization" in name for name in names)
    convolutions = cut.get_weights()[3:]
    dense = [weight.numpy() for weight in embedder.dense.weights]
    embedder.set_weights(convolutions + dense)
    return embedder


@pytest.fixture(scope="module")
def cut():
    return efficientnet_cut((64, 64, 3))


@pytest.fixture
def patches():
    return np.random.default_rng(1).uniform(0, 255, (3, 64, 64, 3)).astype("float32")


def test_features_equal_efficientnet(cut, patches):
    embedder = embedder_with_weights_of(cut)
    expected = np.asarray(cut(patches))
    assert expected.shape == (3, 8, 8, 40) and expected.std() > 0.01
    scale = np.abs(expected).max()
    np.testing.assert_allclose(embedder.features(patches), expected, rtol=1e-4, atol=1e-5 * scale)


def test_features_equal_efficientnet_in_training(cut, patches):
    embedder = embedder_with_weights_of(cut)
    before = cut.get_weights()
    for _ in range(2):
        expected = cut(patches, training=True)
        features = embedder.features(patches, training=True)
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3)
    after = cut.get_weights()
    num_convolutions = len(after) - 3
    for ours, theirs in zip(embedder.get_weights()[:num_convolutions], after[3:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    cut.set_weights(before)


@pytest.mark.parametrize("height, width", [(33, 45), (50, 39)])
def test_odd_patch_sizes_equal_efficientnet(height, width):
    cut = efficientnet_cut((height, width, 3))
    embedder = embedder_with_weights_of(cut)
    patches = np.random.default_rng(1).uniform(0, 255, (2, height, width, 3)).astype("float32")
    expected = np.asarray(cut(patches))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(embedder.features(patches), expected, rtol=1e-4, atol=1e-5 * scale)


def test_embedding_is_the_dense_of_the_mean_feature(cut, patches):
    embedder = embedder_with_weights_of(cut)
    kernel, bias = (weight.numpy().astype("float64") for weight in embedder.dense.weights)
    bias = bias + np.arange(5)
    embedder.dense.bias.assign(bias)
    pooled = np.asarray(cut(patches), "float64").mean(axis=(1, 2))
    np.testing.assert_allclose(embedder(patches), pooled @ kernel + bias, rtol=1e-4, atol=1e-4)


def test_pixels_are_scaled_once(cut, patches):
    embedder = embedder_with_weights_of(cut)
    stem_input = []
    embedder.stem_conv.call = lambda inputs: stem_input.append(np.asarray(inputs)) or inputs
    with pytest.raises(ValueError):  # the stand-in gives 3 channels instead of 32
        embedder.features(patches)
    np.testing.assert_allclose(stem_input[0], patches / 255, rtol=1e-6)


def test_number_of_parameters():
    embedder = PatchEmbedder(256)
    embedder.build((None, 64, 64, 3))
    dense = 40 * 256 + 256
    assert sum(np.prod(weight.shape) for weight in embedder.trainable_weights) - dense == 65_730
    assert embedder.count_params() - dense == 68_642
    assert embedder.compute_output_shape((None, 64, 64, 3)) == (None, 256)

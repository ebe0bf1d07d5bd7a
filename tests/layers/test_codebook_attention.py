import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patchpu.layers import CodebookAttention


def built(num_labels=3, embedding_dim=5, seed=0, dtype=None):
    """A layer with weights that are none of them zero."""
    layer = CodebookAttention(num_labels, dtype=dtype)
    layer.build((None, None, embedding_dim))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def random_embeddings(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def equations_1_and_2(layer, patch_embeddings):
    """One image, one label and one patch at a time, in float64."""
    weights = {
        f"{weight.path.split('/')[-2]}/{weight.name}": weight.numpy().astype("float64")
        for weight in layer.mlp_hidden.weights + layer.mlp_output.weights
    }
    codebook = layer.codebook.numpy().astype("float64")
    gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
    image_embeddings, attention = [], []
    for patches in patch_embeddings.astype("float64"):
        for label_embedding in codebook:
            exponentials = [math.exp(label_embedding @ patch) for patch in patches]
            alpha = np.array(exponentials) / sum(exponentials)
            pooled = sum(weight * patch for weight, patch in zip(alpha, patches, strict=True))
            hidden = gelu(pooled @ weights["mlp_hidden/kernel"] + weights["mlp_hidden/bias"])
            mlp = hidden @ weights["mlp_output/kernel"] + weights["mlp_output/bias"]
            attention.append(alpha)
            image_embeddings.append(mlp + pooled)
    batch, num_patches, embedding_dim = patch_embeddings.shape
    return (
        np.reshape(image_embeddings, (batch, -1, embedding_dim)),
        np.reshape(attention, (batch, -1, num_patches)),
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(2, 9), st.integers(2, 6), st.integers(0, 99))
def test_equations_1_and_2(num_labels, num_patches, embedding_dim, seed):
    layer = built(num_labels, embedding_dim, seed)
    patch_embeddings = random_embeddings(2, num_patches, embedding_dim, seed=seed + 1)
    image_embeddings, attention = layer(patch_embeddings)
    expected_embeddings, expected_attention = equations_1_and_2(layer, patch_embeddings)
    np.testing.assert_allclose(attention, expected_attention, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(image_embeddings, expected_embeddings, rtol=1e-3, atol=1e-4)


def test_rows_of_attention_sum_to_1():
    # Scores in the hundreds: an unshifted softmax would overflow.
    patch_embeddings = 100 * random_embeddings(3, 20, 5)
    attention = np.asarray(built()(patch_embeddings)[1])
    assert attention.shape == (3, 3, 20) and (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(axis=-1), 1, rtol=1e-5)


def test_order_of_the_patches_does_not_matter():
    layer, patch_embeddings = built(), random_embeddings(2, 7, 5)
    order = np.random.default_rng(2).permutation(7)
    embeddings, attention = layer(patch_embeddings)
    permuted_embeddings, permuted_attention = layer(patch_embeddings[:, order])
    np.testing.assert_allclose(permuted_attention, np.asarray(attention)[:, :, order], rtol=1e-5)
    np.testing.assert_allclose(permuted_embeddings, embeddings, rtol=1e-5, atol=1e-5)


def test_images_do_not_mix():
    layer, patch_embeddings = built(), random_embeddings(4, 7, 5)
    together = layer(patch_embeddings)
    alone = layer(patch_embeddings[2:3])
    np.testing.assert_allclose(together[0][2:3], alone[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(together[1][2:3], alone[1], rtol=1e-5, atol=1e-6)


def test_softmax_in_float32_under_mixed_precision():
    layer = built(dtype="mixed_bfloat16")
    # 2,000 patches of the same score: 1/2000 each, where a sum in bfloat16 stops growing at 256.
    image_embeddings, attention = layer(np.ones((1, 2000, 5), "float32"))
    assert keras.backend.standardize_dtype(attention.dtype) == "float32"
    assert keras.backend.standardize_dtype(image_embeddings.dtype) == "bfloat16"
    np.testing.assert_allclose(attention, np.full((1, 3, 2000), 1 / 2000), rtol=1e-5)
    symbolic = layer(keras.KerasTensor((None, 2000, 5), dtype="bfloat16"))
    assert [tensor.dtype for tensor in symbolic] == ["bfloat16", "float32"]
    attention = np.asarray(layer(random_embeddings(2, 50, 5))[1])
    np.testing.assert_allclose(attention.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("num_labels, expected", [(20, 136_704), (80, 152_064)])
def test_number_of_parameters(num_labels, expected):
    layer = CodebookAttention(num_labels)
    layer.build((None, None, 256))
    assert layer.count_params() == expected == 256 * num_labels + 2 * (256 * 256 + 256)


def test_shapes_and_config_round_trip():
    layer = built()
    symbolic = layer(keras.KerasTensor((None, None, 5)))
    assert [tensor.shape for tensor in symbolic] == [(None, 3, 5), (None, 3, None)]
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    clone.set_weights(layer.get_weights())
    inputs = random_embeddings(2, 4, 5)
    np.testing.assert_array_equal(clone(inputs)[0], layer(inputs)[0])

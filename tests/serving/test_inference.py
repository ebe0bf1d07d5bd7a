"""The graph for inference: equal to that of training, folded and in chunks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_patchpu import PatchClassifier
from keras_patchpu.layers import PatchEmbedder
from keras_patchpu.serving import inference
from keras_patchpu.serving.folded_embedder import FoldedEmbedder


def set_all_weights(model, seed=0):
    """Weights with which each norm, bias and gate of the embedder matters."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape = variable.shape
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.2, 2.0, shape))
        elif variable.path.endswith("gamma"):
            variable.assign(rng.uniform(0.5, 2.0, shape))
        elif len(shape) == 4:
            variable.assign(2.0 * variable)  # as drawn, the signal fades from layer to layer
        elif len(shape) == 1:
            variable.assign(rng.normal(0.0, 0.5, shape))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = PatchClassifier(7, image_size=64, patch_size=32, num_levels=2, embedding_dim=24)
    set_all_weights(model)
    return model


def images(count, height=64, width=64):
    """Coarse tiles: of single pixels every picture would have the same mean."""
    tiles = np.random.default_rng(1).uniform(0, 255, (count, 3, 3, 3))
    pixels = tiles.repeat(height // 3 + 1, axis=1).repeat(width // 3 + 1, axis=2)
    return pixels[:, :height, :width].astype("float32")


# 33 and 45: strided convolutions pad odd sizes otherwise.
@pytest.mark.parametrize("size", [(32, 32), (33, 45), (64, 64)])
def test_folded_embedder_equals_embedder(size):
    keras.utils.set_random_seed(0)
    embedder = PatchEmbedder(16)
    embedder.build((None, *size, 3))
    set_all_weights(embedder)
    patches = images(3, *size)
    expected = embedder(patches)
    assert np.std(expected, axis=0).min() > 1e-3  # patches differ in every dimension
    np.testing.assert_allclose(FoldedEmbedder(embedder)(patches), expected, rtol=2e-5, atol=2e-5)


def test_no_batch_normalization_is_left(model):
    infer, layers = inference.inference_function(model)
    graph = tf.function(infer).get_concrete_function(tf.TensorSpec((None, 64, 64, 3))).graph
    definition = graph.as_graph_def()
    bodies = [definition.node, *(body.node_def for body in definition.library.function)]
    nodes = [node for body in bodies for node in body]
    assert [node.op for node in nodes].count("DepthwiseConv2dNative") == 5
    assert not [node.name for node in nodes if "norm" in (node.op + node.name).lower()]
    # Only the two layers that are named as its own have variables in it.
    read = {variable.name.removesuffix(":0") for variable in graph.variables}
    assert read == {variable.path for layer in layers for variable in layer.variables}


@pytest.mark.parametrize("count", [1, 2, 5])
# 15 patches of 5 images: a chunk smaller than a patch, that divides 15, that does not, larger.
@pytest.mark.parametrize("chunk", [0, 5, 4, 100])
def test_chunks_change_nothing(model, monkeypatch, chunk, count):
    monkeypatch.setattr(inference, "CHUNK_PIXELS", chunk * 32 * 32)
    infer, _ = inference.inference_function(model)
    outputs = tf.function(infer)(images(count))
    expected = model(images(count), training=False)
    for name in ("logits", "attention"):
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4, atol=1e-4)


def test_no_images_are_no_answers(model):
    infer, _ = inference.inference_function(model)
    outputs = tf.function(infer)(images(0))
    assert outputs["logits"].shape == (0, 7) and outputs["attention"].shape == (0, 7, 5)


def test_all_patches_are_used_where_training_takes_some():
    keras.utils.set_random_seed(0)
    model = PatchClassifier(
        3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8, patches_per_level=(1, 1)
    )
    set_all_weights(model)
    infer, _ = inference.inference_function(model)
    attention = infer(images(2))["attention"]
    assert attention.shape == (2, 3, 5)
    np.testing.assert_allclose(attention, model(images(2))["attention"], rtol=1e-4, atol=1e-5)


def test_a_model_in_bfloat16_is_served_in_float32():
    keras.utils.set_random_seed(0)
    model = PatchClassifier(
        3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8, dtype="mixed_bfloat16"
    )
    infer, _ = inference.inference_function(model)
    outputs = infer(images(2))
    assert outputs["logits"].dtype == tf.float32
    np.testing.assert_allclose(outputs["logits"], model(images(2))["logits"], atol=0.05)


def test_any_other_model_is_called_as_it_is():
    inputs = keras.Input((64, 64, 3))
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    attention = keras.layers.RepeatVector(2)(logits)
    model = keras.Model(inputs, {"logits": logits, "attention": attention})
    infer, layers = inference.inference_function(model)
    np.testing.assert_array_equal(infer(images(2))["logits"], model(images(2))["logits"])
    assert layers == [model]

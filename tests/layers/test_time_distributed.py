import keras
import numpy as np
import pytest

from keras_patchpu.layers import BatchNormalization, PatchEmbedder, TimeDistributed


def randomize(layer, seed=0):
    """Weights away from their start values, so that a BatchNormalization is no identity."""
    rng = np.random.default_rng(seed)
    layer.set_weights(
        [weight + rng.uniform(0.1, 0.6, weight.shape) for weight in layer.get_weights()]
    )


def small_cnn():
    """A BatchNormalization between two other layers, `(8, 8, 3)` -> `(5,)`."""
    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3),
            BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(1).normal(size=(2, 3, 8, 8, 3)).astype("float32")


def test_equals_embedding_each_patch_alone():
    patches = np.random.default_rng(0).uniform(0, 255, (2, 3, 16, 16, 3)).astype("float32")
    embedder = PatchEmbedder(7)
    layer = TimeDistributed(embedder)
    layer.build(patches.shape)
    randomize(embedder)
    alone = [[embedder(patch[None])[0] for patch in image] for image in patches]
    np.testing.assert_allclose(layer(patches), alone, rtol=1e-4, atol=1e-4)


def test_equals_keras_in_inference(patches):
    cnn = small_cnn()
    ours, theirs = TimeDistributed(cnn), keras.layers.TimeDistributed(cnn)
    ours.build(patches.shape)
    randomize(cnn)
    np.testing.assert_allclose(ours(patches), theirs(patches), rtol=1e-4, atol=1e-5)


def test_batch_statistics_run_over_images_and_patches(patches):
    normalization = keras.layers.BatchNormalization(momentum=0.9)
    layer = TimeDistributed(normalization)
    outputs = np.asarray(layer(patches, training=True))

    values = patches.astype("float64")
    mean, variance = values.mean(axis=(0, 1, 2, 3)), values.var(axis=(0, 1, 2, 3))
    expected = (values - mean) / np.sqrt(variance + normalization.epsilon)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(normalization.moving_mean, 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(normalization.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


@pytest.mark.tensorflow_only("others compile for known sizes")
@pytest.mark.parametrize("batch", [2, None])
@pytest.mark.parametrize("steps", [3, None])
def test_known_and_unknown_sizes(patches, batch, steps):
    import tensorflow as tf

    layer = TimeDistributed(small_cnn())
    expected = layer(patches)
    spec = tf.TensorSpec((batch, steps, 8, 8, 3))
    function = tf.function(layer, input_signature=[spec]).get_concrete_function()
    np.testing.assert_allclose(function(patches), expected, rtol=1e-4, atol=1e-5)
    symbolic = layer(keras.KerasTensor((batch, steps, 8, 8, 3)))
    assert symbolic.shape == (batch, steps, 5)
    # A shape that is known in the graph stays known; with both open, the batch is what is lost.
    assert function.output_shapes[1] in (steps, None) and function.output_shapes[2] == 5
    if steps is not None:
        assert function.output_shapes[1] == steps


class Probe(keras.layers.Layer):
    """Keeps the arguments of its last call."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, inputs, training=None, mask=None):
        self.seen = (inputs, training, mask)
        return inputs


@pytest.mark.parametrize("training", [True, False])
def test_training_and_mask_reach_the_layer(training):
    inputs = np.arange(24, dtype="float32").reshape(2, 3, 4)
    mask = np.array([[True, False, True], [False, True, True]])
    probe = Probe()
    TimeDistributed(probe)(inputs, training=training, mask=mask)
    seen_inputs, seen_training, seen_mask = probe.seen
    np.testing.assert_array_equal(seen_inputs, inputs.reshape(6, 4))
    assert seen_training is training
    np.testing.assert_array_equal(seen_mask, mask.reshape(6))


def test_layer_without_training_or_mask():
    inputs = np.ones((2, 3, 4), "float32")
    mask = np.ones((2, 3), bool)
    assert TimeDistributed(keras.layers.Dense(5))(inputs, training=True, mask=mask).shape == (
        2,
        3,
        5,
    )


def num_operations(steps):
    import tensorflow as tf

    layer = TimeDistributed(small_cnn())
    layer.build((None, steps, 8, 8, 3))
    function = tf.function(lambda patches: layer(patches, training=True))
    graph = function.get_concrete_function(tf.TensorSpec((None, steps, 8, 8, 3))).graph
    return len(graph.get_operations())


@pytest.mark.tensorflow_only("counts operations of a tf.Graph")
def test_graph_does_not_grow_with_the_number_of_patches():
    assert num_operations(3) == num_operations(30)


def test_config_round_trip(patches):
    layer = TimeDistributed(PatchEmbedder(6), name="embed")
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(clone) is TimeDistributed and type(clone.layer) is PatchEmbedder
    assert clone.layer.embedding_dim == 6 and clone.name == "embed"

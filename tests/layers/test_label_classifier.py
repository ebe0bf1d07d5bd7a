import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu.layers import LabelClassifier


def built(num_labels=4, embedding_dim=6, seed=0):
    layer = LabelClassifier(num_labels)
    layer.build((None, num_labels, embedding_dim))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def scoring_identity(num_labels):
    """A layer whose scores `W_k . e_l` are its input."""
    layer = LabelClassifier(num_labels)
    layer.build((None, num_labels, num_labels))
    layer.set_weights([np.eye(num_labels)])
    return layer


def equation_3(label_weights, image_embeddings):
    """y_hat, one image and label at a time, in float64."""
    label_weights = label_weights.astype("float64")
    scores = np.empty(image_embeddings.shape[:2])
    for image, embeddings in enumerate(image_embeddings.astype("float64")):
        for label, embedding in enumerate(embeddings):
            exponentials = np.exp(label_weights @ embedding)
            scores[image, label] = exponentials[label] / exponentials.sum()
    return scores


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 8), st.integers(1, 6), st.floats(0.01, 4), st.integers(0, 99))
def test_sigmoid_of_the_logits_is_equation_3(num_labels, embedding_dim, scale, seed):
    layer = built(num_labels, embedding_dim, seed)
    embeddings = np.random.default_rng(seed + 1).normal(0, scale, (3, num_labels, embedding_dim))
    embeddings = embeddings.astype("float32")
    expected = equation_3(layer.get_weights()[0], embeddings)
    logits = layer(embeddings)
    assert logits.shape == (3, num_labels)
    np.testing.assert_allclose(sigmoid(logits), expected, rtol=1e-4)
    # The other end as well: y_hat itself would round to 1 in float32.
    np.testing.assert_allclose(sigmoid(-np.asarray(logits)), 1 - expected, rtol=1e-4, atol=1e-12)


SCORES = hnp.arrays(
    "float32", (1, 3, 3), elements=st.sampled_from([-1000, -100, -1, 0, 0.5, 1, 100, 1000])
)


@settings(deadline=None, max_examples=60)
@given(SCORES)
def test_large_scores(value_and_gradients, scores):
    layer = scoring_identity(3)
    exact = scores[0].astype("float64")
    for label in range(3):
        others = np.delete(exact[label], label)
        expected = exact[label, label] - np.logaddexp(*others)
        logit, (found,) = value_and_gradients(lambda x, label=label: layer(x)[0, label], [scores])
        # The last bit of scores of 1,000 is 6e-5.
        np.testing.assert_allclose(logit, expected, rtol=1e-6, atol=7e-5)
        # d logit / d own score is 1; the others share -1 as their softmax does.
        softmax = np.exp(others - np.logaddexp(*others))
        gradient = np.zeros((3, 3))
        gradient[label] = np.insert(-softmax, label, 1)
        np.testing.assert_allclose(found[0], gradient, atol=1e-4)


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_hand_worked_saturation(size):
    layer = scoring_identity(3)
    scores = np.zeros((1, 3, 3), "float32")
    scores[0, 0, 0] = size  # label 0 is sure to be there
    scores[0, 1, 2] = size  # label 1 is sure not to be
    logits = np.asarray(layer(scores))[0]
    np.testing.assert_allclose(logits, [size - np.log(2), -size, -np.log(2)], rtol=1e-6)


def test_two_labels():
    logits = scoring_identity(2)(np.array([[[3, 1], [0.5, 2]]], "float32"))
    np.testing.assert_allclose(logits, [[2, 1.5]], rtol=1e-6)


def test_gradient_reaches_weights_and_stays_finite(value_and_gradients):
    layer = built()
    layer.set_weights([1000 * layer.get_weights()[0]])
    inputs = np.random.default_rng(1).normal(size=(2, 4, 6)).astype("float32")
    _, gradients = value_and_gradients(
        lambda x: ops.log_sigmoid(-layer(x)), [inputs], [layer.label_weights]
    )
    assert len(gradients) == 2
    for gradient in gradients:
        assert np.isfinite(gradient).all() and np.any(gradient)


@pytest.mark.parametrize("num_labels", [1, 0, -3])
def test_one_label_is_an_error_that_says_why(num_labels):
    with pytest.raises(ValueError, match="softmax over all labels.*always 1"):
        LabelClassifier(num_labels)


def test_float32_logits_under_mixed_precision():
    layer = LabelClassifier(3, dtype="mixed_bfloat16")
    logits = layer(np.ones((2, 3, 5), "float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert layer(keras.KerasTensor((None, 3, 5), dtype="bfloat16")).dtype == "float32"


def test_number_of_parameters_and_config_round_trip():
    layer = built(20, 256)
    assert layer.count_params() == 20 * 256
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    clone.set_weights(layer.get_weights())
    inputs = np.random.default_rng(0).normal(size=(2, 20, 256)).astype("float32")
    np.testing.assert_array_equal(clone(inputs), layer(inputs))

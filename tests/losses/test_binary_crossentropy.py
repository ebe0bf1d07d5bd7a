import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops
from sklearn.metrics import log_loss

from keras_patchpu.losses import AssumeNegative, BinaryCrossentropy, binary_crossentropy

SHAPES = st.shared(st.tuples(st.integers(1, 4), st.integers(1, 5)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-20, 20, width=32))
LABELS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))


def crossentropy(labels, logits):
    """Equation 5, one label at a time, in float64; -1 counts neither way."""
    losses = []
    for row_labels, row_logits in zip(labels, logits.astype("float64"), strict=True):
        loss = 0.0
        for label, logit in zip(row_labels, row_logits, strict=True):
            if label == 1:
                loss -= math.log(1 / (1 + math.exp(-logit)))
            elif label == 0:
                loss -= math.log(1 / (1 + math.exp(logit)))
        losses.append(loss)
    return losses


@settings(deadline=None, max_examples=50)
@given(LABELS, LOGITS)
def test_formula(labels, logits):
    loss = binary_crossentropy(ops.array(labels), ops.array(logits))
    assert loss.shape == labels.shape[:1]
    np.testing.assert_allclose(loss, crossentropy(labels, logits), rtol=1e-4, atol=1e-6)


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, (3, 6)), rng.normal(size=(3, 6))
    loss = binary_crossentropy(ops.array(labels, "float32"), ops.array(logits, "float32"))
    expected = [
        6 * log_loss(row, 1 / (1 + np.exp(-row_logits)), labels=[0, 1])
        for row, row_logits in zip(labels, logits, strict=True)
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_hand_worked():
    loss = binary_crossentropy(ops.array([[1.0, 0, -1]]), ops.array([[0.0, 0, 5]]))
    np.testing.assert_allclose(loss, [2 * math.log(2)], rtol=1e-6)


def test_no_known_label_is_no_loss():
    np.testing.assert_array_equal(binary_crossentropy(-ops.ones((2, 3)), ops.ones((2, 3))), [0, 0])


@pytest.mark.parametrize("size", [100.0, 1000.0])
def test_finite_at_large_logits(value_and_gradients, size):
    labels = ops.array([[1.0, 1, 0, 0]])
    loss, (gradient,) = value_and_gradients(
        lambda logits: binary_crossentropy(labels, logits), [[[size, -size, size, -size]]]
    )
    np.testing.assert_allclose(loss, [2 * size], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, -1, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    "loss_class, key", [(BinaryCrossentropy, "labels"), (AssumeNegative, "observed")]
)
def test_loss_objects_learn_from_their_own_labels(loss_class, key):
    rng = np.random.default_rng(0)
    y_true = {name: rng.integers(0, 2, (4, 3)).astype("float32") for name in ("labels", "observed")}
    y_pred = {"logits": rng.normal(size=(4, 3)).astype("float32")}
    expected = np.mean(crossentropy(y_true[key], y_pred["logits"]))
    np.testing.assert_allclose(loss_class()(y_true, y_pred), expected, rtol=1e-5)
    np.testing.assert_allclose(loss_class()(y_true[key], y_pred), expected, rtol=1e-5)
    assert loss_class.supervised is (key == "labels")
    assert keras.losses.get(loss_class()).reduction == "sum_over_batch_size"

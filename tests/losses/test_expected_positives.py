import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu.losses import ExpectedPositiveRegularization, expected_positive_regularization
from keras_patchpu.losses.expected_positives import expected_positives_penalty

SHAPES = st.shared(st.tuples(st.integers(1, 4), st.integers(1, 5)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-20, 20, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([0, 1]))
EXPECTED_POSITIVES = st.floats(0, 5)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


def authors_epr(observed, logits, k):
    """Cole et al.'s code: a (B, L) matrix, its mean over B * L, and the penalty outside."""
    p = sigmoid(logits)
    batch, num_labels = p.shape
    matrix = np.zeros(p.shape)
    matrix[observed == 1] = -np.log(p[observed == 1])
    penalty = (p.sum(axis=1).mean() - k) ** 2 / num_labels**2
    return matrix.sum() / (batch * num_labels) + penalty


@settings(deadline=None, max_examples=50)
@given(OBSERVED, LOGITS, EXPECTED_POSITIVES)
def test_formula(observed, logits, k):
    loss = expected_positive_regularization(ops.array(observed), ops.array(logits), k)
    assert loss.shape == observed.shape[:1]
    np.testing.assert_allclose(
        np.mean(np.asarray(loss)), authors_epr(observed, logits, k), rtol=1e-4, atol=1e-6
    )


def test_hand_worked():
    # Two images of two labels at p = 1/2: one expected positive too few, (1 - 2)^2 / 2^2.
    loss = expected_positive_regularization(ops.array([[1.0, 0], [0, 0]]), ops.zeros((2, 2)), 2.0)
    np.testing.assert_allclose(loss, [math.log(2) / 2 + 0.25, 0.25], rtol=1e-6)


def test_penalty_compares_the_mean_over_the_batch():
    # 3 and 1 positives: 2 on average, although neither image has 2.
    logits = ops.array([[100.0, 100, 100], [-100, -100, 100]])
    assert float(expected_positives_penalty(logits, 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(expected_positives_penalty(logits, 5.0)) == pytest.approx(1)


def test_finite_at_large_logits(value_and_gradients):
    observed = ops.array([[1.0, 1, 0, 0]])
    loss, (gradient,) = value_and_gradients(
        lambda logits: expected_positive_regularization(observed, logits, 1.5),
        [[[100.0, -100, 100, -100]]],
    )
    np.testing.assert_allclose(loss, [100 / 4 + 0.5**2 / 16], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, -1 / 4, 0, 0]], atol=1e-6)


def test_loss_object():
    rng = np.random.default_rng(0)
    observed = np.eye(3, dtype="float32")
    logits = rng.normal(size=(3, 3)).astype("float32")
    loss = ExpectedPositiveRegularization(1.38)
    expected = authors_epr(observed, logits, 1.38)
    y_true = {"labels": np.ones((3, 3)), "observed": observed}
    np.testing.assert_allclose(loss(y_true, {"logits": logits}), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(observed, {"logits": logits}), expected, rtol=1e-5)

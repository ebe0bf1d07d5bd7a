import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu.losses import OnlineLabelEstimation, online_label_estimation
from keras_patchpu.losses.online_label_estimation import LabelEstimator

SHAPES = st.shared(st.tuples(st.integers(1, 4), st.integers(1, 5)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-20, 20, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([0, 1]))


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


def authors_role(observed, p, q, k, p_constant=None, q_constant=None):
    """Cole et al.'s code, from probabilities: the mean over B * L of a matrix, and two penalties.

    `p_constant` and `q_constant` are what stands behind a stopped gradient.
    """
    p_constant = p if p_constant is None else p_constant
    q_constant = q if q_constant is None else q_constant
    batch, num_labels = p.shape
    matrix = np.zeros(p.shape)
    for image, label in np.ndindex(p.shape):
        entry = [image, label]
        own_p, own_q = p[*entry], q[*entry]
        teacher_p, teacher_q = p_constant[*entry], q_constant[*entry]
        if observed[*entry] == 1:
            matrix[*entry] += 0.5 * (-math.log(own_p) - math.log(own_q))
        crossentropy_p = teacher_q * -math.log(own_p) + (1 - teacher_q) * -math.log(1 - own_p)
        crossentropy_q = teacher_p * -math.log(own_q) + (1 - teacher_p) * -math.log(1 - own_q)
        matrix[*entry] += 0.5 * (crossentropy_p + crossentropy_q)
    penalties = [
        (probabilities.sum(axis=1).mean() - k) ** 2 / num_labels**2 for probabilities in (p, q)
    ]
    return matrix.sum() / (batch * num_labels) + 0.5 * sum(penalties)


@settings(deadline=None, max_examples=40)
@given(OBSERVED, LOGITS, LOGITS, st.floats(0, 4))
def test_formula(observed, logits, estimated_logits, k):
    loss = online_label_estimation(*map(ops.array, (observed, logits, estimated_logits)), k)
    assert loss.shape == observed.shape[:1]
    expected = authors_role(observed, sigmoid(logits), sigmoid(estimated_logits), k)
    np.testing.assert_allclose(np.mean(np.asarray(loss)), expected, rtol=1e-4, atol=1e-6)


def test_hand_worked():
    # All at 1/2: half of 2 log 2 for the observed label of the two, and log 2 for each.
    loss = online_label_estimation(ops.array([[1.0, 0]]), ops.zeros((1, 2)), ops.zeros((1, 2)), 3.0)
    np.testing.assert_allclose(loss, [1.5 * math.log(2) + (1 - 3) ** 2 / 4], rtol=1e-6)


def test_gradient_is_that_of_finite_differences(value_and_gradients):
    rng = np.random.default_rng(0)
    observed = np.array([[1, 0, 0], [0, 0, 1]], "float32")
    logits, estimated = rng.normal(0, 2, (2, 2, 3)).astype("float32")
    p_constant, q_constant = sigmoid(logits), sigmoid(estimated)

    def differences(function, array, step=1e-6):
        gradient = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            moved = [array.astype("float64") for _ in range(2)]
            moved[0][index] += step
            moved[1][index] -= step
            gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
        return gradient

    def of_logits(x):
        return authors_role(observed, sigmoid(x), q_constant, 1.4, p_constant, q_constant)

    def of_estimated(x):
        return authors_role(observed, p_constant, sigmoid(x), 1.4, p_constant, q_constant)

    _, gradients = value_and_gradients(
        lambda *inputs: ops.mean(online_label_estimation(ops.array(observed), *inputs, 1.4)),
        [logits, estimated],
    )
    np.testing.assert_allclose(gradients[0], differences(of_logits, logits), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(
        gradients[1], differences(of_estimated, estimated), rtol=1e-3, atol=1e-6
    )


def test_start_values_of_the_estimator():
    observed = np.zeros((500, 4), "float32")
    observed[np.arange(500), np.arange(500) % 4] = 1
    probabilities = sigmoid(LabelEstimator(500, 4, observed=observed, seed=3).logits)
    np.testing.assert_allclose(probabilities[observed == 1], 0.995, rtol=1e-5)
    unobserved = np.log(probabilities / (1 - probabilities))[observed == 0]
    limit = math.log(0.6 / 0.4)
    assert limit == pytest.approx(0.405, abs=1e-3)
    # Uniform: the extremes are reached, the mean is 0 and the deviation limit / sqrt(3).
    assert -limit < unobserved.min() < -0.99 * limit and 0.99 * limit < unobserved.max() < limit
    assert abs(unobserved.mean()) < 5 * limit / math.sqrt(3 * len(unobserved))
    assert unobserved.std() == pytest.approx(limit / math.sqrt(3), rel=0.1)


def test_start_values_follow_the_seed():
    first, same, other = (np.asarray(LabelEstimator(6, 2, seed=seed).logits) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()


def test_estimator_looks_up_rows():
    estimator = LabelEstimator(6, 2)
    assert len(estimator.trainable_variables) == 1
    rows = [5, 0, 5]
    for index in (np.array(rows), np.array(rows, "int64"), np.array(rows, "float32")):
        np.testing.assert_array_equal(estimator(index), np.asarray(estimator.logits)[rows])
    assert estimator(keras.KerasTensor((None,), dtype="int64")).shape == (None, 2)


def test_observed_of_a_wrong_shape():
    with pytest.raises(ValueError, match="observed.*(6, 2).*(2, 6)"):
        OnlineLabelEstimation(6, 2, 1.5, observed=np.zeros((2, 6)))


def test_loss_object_uses_the_rows_of_the_batch(value_and_gradients):
    rng = np.random.default_rng(0)
    observed = np.eye(3, dtype="float32")[rng.integers(0, 3, 8)]
    loss = OnlineLabelEstimation(8, 3, expected_positives=1.5, observed=observed, seed=2)
    index = np.array([7, 2, 4])
    logits = rng.normal(size=(3, 3)).astype("float32")
    y_true = {"observed": observed[index], "index": index, "labels": np.ones((3, 3), "float32")}
    expected = authors_role(
        observed[index], sigmoid(logits), sigmoid(np.asarray(loss.state.logits)[index]), 1.5
    )
    np.testing.assert_allclose(loss(y_true, {"logits": logits}), expected, rtol=1e-5)

    _, (gradient,) = value_and_gradients(
        lambda: loss(y_true, {"logits": logits}), [], [loss.state.logits]
    )
    assert (np.flatnonzero(np.abs(gradient).sum(axis=1)) == np.sort(index)).all()

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import generalized_robust

SHAPES = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 4)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-6, 6, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
SCHEDULED = st.sampled_from([(0.0, -2.0, 0.5, 2.0), (2.0, -2.0, 0.8, 0.5), (10.0, -8.0, 0.7, 1.0)])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def authors(observed, logits, constant_logits, values, q2, q3):
    """Chen et al.'s code, one entry at a time; k and v of the constant logits."""
    w, b, mu, sigma = values
    matrix = np.zeros(logits.shape)
    for entry, z in np.ndenumerate(observed):
        p, p_constant = sigmoid(logits[entry]), sigmoid(constant_logits[entry])
        k = sigmoid(w * p_constant + b)
        v = math.exp(-0.5 * ((p_constant - mu) / sigma) ** 2)
        if z == 1:
            matrix[entry] = -math.log(p)
        elif z == 0:
            matrix[entry] = v * (k * (1 - p**q2) / q2 + (1 - k) * (1 - (1 - p) ** q3) / q3)
        else:
            matrix[entry] = -math.log(1 - p)
    return matrix.mean(axis=1)


@settings(max_examples=40)
@given(OBSERVED, LOGITS, SCHEDULED, st.sampled_from([0.01, 0.7, 1.0]), st.sampled_from([1.0, 1.5]))
def test_formula(check, observed, logits, values, q2, q3):
    constant = logits.astype("float64")
    check(
        lambda x: generalized_robust(ops.array(observed), x, *values, q2, q3),
        lambda x: authors(observed, x, constant, values, q2, q3),
        logits,
    )


def authors_schedule(epoch, epochs, w, b, mu, sigma):
    """`train.py`, which counts epochs from 1; without linear initialization."""
    epoch += 1
    return [
        w[0] + (w[1] - w[0]) * max(epoch - 1, 0) / epochs,
        b[0] + (b[1] - b[0]) * max(epoch - 1, 0) / epochs,
        mu[0] + (mu[1] - mu[0]) * epoch / epochs,
        sigma[0] + (sigma[1] - sigma[0]) * epoch / epochs,
    ]


def test_schedule():
    ends = {"w": (0, 10), "b": (-2, -8), "mu": (0.5, 0.8), "sigma": (2, 0.5)}
    loss = losses.get("gr", **ends)
    for epoch in range(8):
        loss.begin_epoch(epoch, 8)
        np.testing.assert_allclose(
            loss.state.values.numpy(), authors_schedule(epoch, 8, **ends), rtol=1e-6
        )


@pytest.mark.tensorflow_only("traces of tf.function")
def test_loss_object_follows_the_schedule_in_one_graph():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    observed = np.eye(4, dtype="float32")[[0, 2, 3]]
    logits = rng.normal(0, 2, (3, 4)).astype("float32")
    loss = losses.get("gr")
    ends = {"w": (0, 2), "b": (-2, -2), "mu": (0.5, 0.8), "sigma": (2, 0.5)}
    step = tf.function(lambda: loss.call(ops.array(observed), {"logits": ops.array(logits)}))
    for epoch in (0, 3, 7):
        loss.begin_epoch(epoch, 8)
        values = authors_schedule(epoch, 8, **ends)
        expected = authors(observed, logits, logits, values, 0.01, 1.0)
        np.testing.assert_allclose(step(), expected, rtol=1e-5)
    assert step.experimental_get_tracing_count() == 1


def test_memory():
    assert sum(np.asarray(v).nbytes for v in losses.get("gr").state.variables) == 16


@pytest.mark.parametrize("options", [{"sigma": (2.0, 0.0)}, {"q2": 0.0}, {"q3": -1.0}])
def test_arguments_out_of_range(options):
    (argument,) = options
    with pytest.raises(ValueError, match=f"{argument}.*Expected positive"):
        losses.get("gr", **options)

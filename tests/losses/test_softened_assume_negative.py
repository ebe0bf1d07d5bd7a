import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import smoothed_assume_negative, weighted_assume_negative

SHAPES = st.shared(st.tuples(st.integers(1, 3), st.integers(2, 4)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-8, 8, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))


def nl(x):
    return -math.log(x)


def authors_wan(observed, logits):
    """Cole et al.: the assumed negatives weigh 1 / (L - 1), summed over labels."""
    losses = []
    for z_row, x_row in zip(observed, logits, strict=True):
        loss = 0.0
        for z, x in zip(z_row, x_row, strict=True):
            p = 1 / (1 + math.exp(-x))
            if z == 1:
                loss += nl(p)
            elif z == 0:
                loss += nl(1 - p) / (len(z_row) - 1)
            else:
                loss += nl(1 - p)
        losses.append(loss)
    return losses


def authors_an_ls(observed, logits, epsilon):
    """Cole et al.: the full epsilon on both sides, summed over labels."""
    losses = []
    for z_row, x_row in zip(observed, logits, strict=True):
        loss = 0.0
        for z, x in zip(z_row, x_row, strict=True):
            p = 1 / (1 + math.exp(-x))
            if z == 1:
                loss += (1 - epsilon) * nl(p) + epsilon * nl(1 - p)
            else:
                loss += (1 - epsilon) * nl(1 - p) + epsilon * nl(p)
        losses.append(loss)
    return losses


@settings(max_examples=40)
@given(OBSERVED, LOGITS)
def test_weighted(check, observed, logits):
    check(
        lambda x: weighted_assume_negative(ops.array(observed), x),
        lambda x: authors_wan(observed, x),
        logits,
    )


@settings(max_examples=40)
@given(OBSERVED, LOGITS, st.floats(0, 1))
def test_smoothed(check, observed, logits, epsilon):
    check(
        lambda x: smoothed_assume_negative(ops.array(observed), x, epsilon),
        lambda x: authors_an_ls(observed, x, epsilon),
        logits,
    )


def test_one_positive_weighs_as_much_as_the_assumed_negatives():
    loss = weighted_assume_negative(ops.array([[0.0, 1, 0, 0, 0]]), ops.zeros((1, 5)))
    np.testing.assert_allclose(loss, [2 * math.log(2)], rtol=1e-6)


def test_without_smoothing_it_is_assume_negative():
    rng = np.random.default_rng(0)
    observed = ops.array(rng.integers(-1, 2, (4, 3)), "float32")
    y_pred = {"logits": ops.array(rng.normal(size=(4, 3)), "float32")}
    smoothed = losses.get("an_ls", label_smoothing=0.0)
    np.testing.assert_allclose(
        smoothed.call(observed, y_pred), losses.get("an").call(observed, y_pred), rtol=1e-6
    )


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.1, float("nan")])
def test_smoothing_out_of_range(label_smoothing):
    with pytest.raises(ValueError, match="label_smoothing.*Received: label_smoothing="):
        losses.get("an_ls", label_smoothing=label_smoothing)

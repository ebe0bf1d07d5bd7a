import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import asymmetric, binary_crossentropy, focal

SHAPES = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 4)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-8, 8, width=32))
LABELS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))


def per_image(labels, logits, terms):
    """`terms(y, p)` of the known labels, summed."""
    values = []
    for y_row, x_row in zip(labels, logits, strict=True):
        pairs = zip(y_row, x_row, strict=True)
        values.append(sum(terms(y, 1 / (1 + math.exp(-x))) for y, x in pairs if y != -1))
    return np.array(values, "float64")


def lin(y, p, gamma, alpha):
    """Lin et al. by their p_t and alpha_t."""
    p_t = p if y == 1 else 1 - p
    alpha_t = alpha if y == 1 else 1 - alpha
    return -alpha_t * (1 - p_t) ** gamma * math.log(p_t)


def ridnik(y, p, gamma_negative, gamma_positive, clip):
    """Ridnik et al. by their p_m."""
    if y == 1:
        return -((1 - p) ** gamma_positive) * math.log(p)
    p_m = max(p - clip, 0)
    return -(p_m**gamma_negative) * math.log(1 - p_m)


@settings(max_examples=40)
@given(LABELS, LOGITS, st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]), st.floats(0, 1))
def test_focal(check, labels, logits, gamma, alpha):
    check(
        lambda x: focal(ops.array(labels), x, gamma, alpha),
        lambda x: per_image(labels, x, lambda y, p: lin(y, p, gamma, alpha)),
        logits,
    )


@settings(max_examples=40)
@given(
    LABELS,
    LOGITS,
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.05, 0.2]),
)
def test_asymmetric(check, labels, logits, gamma_negative, gamma_positive, clip):
    # The loss has a corner where a negative's probability is the clip.
    corner = math.log(clip / (1 - clip)) if clip else -math.inf
    logits = np.where(np.abs(logits - corner) < 1e-2, logits + 0.1, logits).astype("float32")
    check(
        lambda x: asymmetric(ops.array(labels), x, gamma_negative, gamma_positive, clip),
        lambda x: per_image(
            labels, x, lambda y, p: ridnik(y, p, gamma_negative, gamma_positive, clip)
        ),
        logits,
    )


def test_both_generalize_the_crossentropy():
    rng = np.random.default_rng(0)
    labels = ops.array(rng.integers(-1, 2, (4, 3)), "float32")
    logits = ops.array(rng.normal(0, 3, (4, 3)), "float32")
    expected = binary_crossentropy(labels, logits)
    np.testing.assert_allclose(2 * focal(labels, logits, 0.0, 0.5), expected, rtol=1e-5)
    np.testing.assert_allclose(asymmetric(labels, logits, 0.0, 0.0, 0.0), expected, rtol=1e-5)


def test_a_negative_below_the_clip_is_no_loss(value_and_gradients):
    logits = [[math.log(0.04 / 0.96), -100.0]]
    for gamma_negative in (0.0, 0.5, 4.0):
        loss, (gradient,) = value_and_gradients(
            lambda x, gamma=gamma_negative: asymmetric(ops.zeros((1, 2)), x, gamma), [logits]
        )
        np.testing.assert_array_equal(loss, [0])
        np.testing.assert_array_equal(gradient, [[0, 0]])


@pytest.mark.parametrize(
    "name, options",
    [
        ("focal", {"gamma": -1}),
        ("focal", {"alpha": 1.5}),
        ("asl", {"gamma_negative": float("nan")}),
        ("asl", {"gamma_positive": -0.1}),
        ("asl", {"clip": 1.0}),
    ],
)
def test_arguments_out_of_range(name, options):
    (argument,) = options
    with pytest.raises(ValueError, match=f"`{argument}`.*Received: {argument}="):
        losses.get(name, **options)

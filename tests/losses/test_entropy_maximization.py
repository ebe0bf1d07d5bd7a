import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import (
    entropy_maximization,
    entropy_maximization_with_pseudo_labels,
)

SHAPES = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 4)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-8, 8, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
PSEUDO_LABELS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 0.25, 1]))


def zhou(observed, logits, alpha, pseudo_labels=None, beta=None):
    """Zhou et al., one entry at a time; the mean over labels."""
    matrix = np.zeros(logits.shape)
    for entry, z in np.ndenumerate(observed):
        p = 1 / (1 + math.exp(-logits[entry]))
        t = -1.0 if pseudo_labels is None else float(pseudo_labels[entry])
        if z == 1:
            matrix[entry] = -math.log(p)
        elif z == -1:
            matrix[entry] = -math.log(1 - p)
        elif t < 0:
            matrix[entry] = -alpha * -(p * math.log(p) + (1 - p) * math.log(1 - p))
        else:
            matrix[entry] = -beta * (t * math.log(p) + (1 - t) * math.log(1 - p))
    return matrix.mean(axis=1)


@settings(max_examples=40)
@given(OBSERVED, LOGITS, st.sampled_from([0.0, 0.1, 1.0]))
def test_entropy(check, observed, logits, alpha):
    check(
        lambda x: entropy_maximization(ops.array(observed), x, alpha),
        lambda x: zhou(observed, x, alpha),
        logits,
    )


@settings(max_examples=40)
@given(OBSERVED, LOGITS, PSEUDO_LABELS, st.sampled_from([0.02, 0.9]))
def test_pseudo_labels(check, observed, logits, pseudo_labels, beta):
    check(
        lambda x: entropy_maximization_with_pseudo_labels(
            ops.array(observed), x, ops.array(pseudo_labels), 0.2, beta
        ),
        lambda x: zhou(observed, x, 0.2, pseudo_labels, beta),
        logits,
    )


def test_loss_can_be_negative():
    loss = entropy_maximization(ops.array([[0.0, 0]]), ops.zeros((1, 2)), 0.2)
    np.testing.assert_allclose(loss, [-0.2 * math.log(2)], rtol=1e-6)


NUM_EXAMPLES, NUM_LABELS, EPOCHS, WARMUP = 20, 3, 6, 2


def training_set():
    rng = np.random.default_rng(0)
    observed = np.eye(NUM_LABELS, dtype="float32")[rng.integers(0, NUM_LABELS, NUM_EXAMPLES)]
    observed[3] = [0, 1, -1]
    return observed


def epoch_batches(rng, observed, order):
    logits = rng.normal(0, 2, observed.shape).astype("float32")
    for rows in np.array_split(order, 4):
        yield {"observed": observed[rows], "index": rows}, {"logits": logits[rows]}


@pytest.mark.parametrize("shuffled", [False, True])
def test_pseudo_labelling_by_hand(train, shuffled):
    observed = training_set()
    loss = losses.get(
        "em+apl", num_examples=NUM_EXAMPLES, num_labels=NUM_LABELS, warmup_epochs=WARMUP, beta=0.5
    )
    rng = np.random.default_rng(1)
    labels = np.full(observed.shape, -1.0)  # as the authors' -p, but apart from the observed ones
    predictions = np.full(observed.shape, np.nan)
    for epoch in range(EPOCHS):
        if epoch >= WARMUP:  # what the authors do at the end of the epoch before
            for label in range(NUM_LABELS):
                unobserved = np.sum(observed[:, label] == 0)
                unlabelled = [
                    row
                    for row in range(NUM_EXAMPLES)
                    if observed[row, label] == 0 and labels[row, label] < 0
                ]
                unlabelled.sort(key=lambda row, label=label: predictions[row, label])
                for row in unlabelled[: int(0.9 * unobserved / (EPOCHS - WARMUP))]:
                    labels[row, label] = predictions[row, label]
        order = rng.permutation(NUM_EXAMPLES) if shuffled else np.arange(NUM_EXAMPLES)
        batches = list(epoch_batches(rng, observed, order))
        values = train(loss, epoch, EPOCHS, batches)
        for value, (y_true, y_pred) in zip(values, batches, strict=True):
            rows, logits = y_true["index"], y_pred["logits"].astype("float64")
            expected = zhou(observed[rows], logits, 0.2, labels[rows], 0.5).mean()
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-6)
            predictions[rows] = 1 / (1 + np.exp(-logits))
        np.testing.assert_allclose(loss.state.labels.numpy(), labels, rtol=1e-5)
    unobserved = (observed == 0).sum(axis=0)
    np.testing.assert_array_equal((labels >= 0).sum(axis=0), 4 * (0.9 * unobserved / 4).astype(int))
    assert (labels[observed != 0] == -1).all()


def test_beginning_an_epoch_twice_is_once(train):
    observed = training_set()
    loss = losses.get("em+apl", num_examples=20, num_labels=3, warmup_epochs=1)
    train(loss, 0, 4, epoch_batches(np.random.default_rng(1), observed, np.arange(20)))
    loss.begin_epoch(1, 4)
    labels = loss.state.labels.numpy()
    assert (labels >= 0).any()
    loss.begin_epoch(1, 4)
    np.testing.assert_array_equal(loss.state.labels.numpy(), labels)


def test_a_probability_of_0_is_a_pseudo_label(train):
    loss = losses.get("em+apl", num_examples=5, num_labels=1, warmup_epochs=1)
    y_true = {"observed": np.zeros((5, 1)), "index": np.arange(5)}
    train(loss, 0, 2, [(y_true, {"logits": np.full((5, 1), -200.0)})])
    loss.begin_epoch(1, 2)
    assert loss.state.labels.numpy().ravel().tolist() == [0, 0, 0, 0, -1]


def test_memory_and_its_description():
    loss = losses.get("em+apl", num_examples=82_081, num_labels=80)
    size = sum(np.asarray(v).nbytes for v in loss.state.variables)
    for described in (loss, loss.state):
        assert f"{size:,} bytes" in type(described).__doc__


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`warmup_epochs`.*Received: warmup_epochs=0"):
        losses.get("em+apl", num_examples=5, num_labels=1, warmup_epochs=0)
    with pytest.raises(ValueError, match="`num_examples` or `num_labels`"):
        losses.get("em+apl", num_examples=0, num_labels=1)

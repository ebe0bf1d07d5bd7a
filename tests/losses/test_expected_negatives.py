import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_patchpu import losses
from keras_patchpu.losses import consistency, expected_negative, expected_positive
from keras_patchpu.losses.running_scores import highest_scores

SHAPES = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 4)), key="shape")
LOGITS = hnp.arrays("float32", SHAPES, elements=st.floats(-8, 8, width=32))
OBSERVED = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
EXPECTED = hnp.arrays("bool", SHAPES)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


def verelst(observed, logits, expected, positives=False):
    """Equation 5, one entry at a time; with `positives`, L_EP."""
    losses = []
    for z_row, x_row, marked_row in zip(observed, logits, expected, strict=True):
        loss = 0.0
        for z, x, marked in zip(z_row, x_row, marked_row, strict=True):
            f = 1 / (1 + math.exp(-x))
            z_hat = z == 1 or (z == 0 and marked)
            if z == 1 or (positives and z_hat):
                loss -= math.log(f)
            elif not z_hat:
                loss -= math.log(1 - f)
        losses.append(loss / len(z_row))
    return np.array(losses)


@settings(max_examples=40)
@given(OBSERVED, LOGITS, EXPECTED, st.booleans())
def test_formula(check, observed, logits, expected, positives):
    function = expected_positive if positives else expected_negative
    check(
        lambda x: function(ops.array(observed), x, ops.array(expected)),
        lambda x: verelst(observed, x, expected, positives),
        logits,
    )


@settings(max_examples=40)
@given(LOGITS, st.floats(0, 1))
def test_consistency(check, logits, score):
    # The distance has a corner where both are equal.
    corner = math.log(score / (1 - score)) if 0 < score < 1 else math.inf
    logits = np.where(np.abs(logits - corner) < 1e-2, logits + 0.1, logits).astype("float32")
    scores = np.full(logits.shape, score)
    check(
        lambda x: consistency(x, ops.array(scores, "float32")),
        lambda x: np.abs(sigmoid(x) - scores).mean(axis=1),
        logits,
    )


@settings(max_examples=60)
@given(
    hnp.arrays("float32", (5, 2), elements=st.sampled_from([0, 0.25, 0.5, 1])),
    st.tuples(st.integers(0, 7), st.integers(0, 7)),
)
def test_highest_scores(scores, counts):
    marks = highest_scores(scores, np.array(counts))
    for label, count in enumerate(counts):
        ranked = sorted(range(5), key=lambda row, label=label: (-scores[row, label], row))
        expected = [row for row in ranked[:count] if scores[row, label] > 0]
        assert np.flatnonzero(marks[:, label]).tolist() == sorted(expected)


NUM_EXAMPLES, NUM_LABELS, K = 9, 3, 1.7


def training_set():
    rng = np.random.default_rng(0)
    observed = np.eye(NUM_LABELS, dtype="float32")[rng.integers(0, NUM_LABELS, NUM_EXAMPLES)]
    observed[4] = [0, 1, -1]
    return observed


def make(name, **options):
    return losses.get(
        name,
        num_examples=NUM_EXAMPLES,
        num_labels=NUM_LABELS,
        expected_positives=K,
        observed=training_set(),
        **options,
    )


def batches(rng, order):
    """Batches of 4, 4 and 1 of the images in that order."""
    observed = training_set()
    logits = rng.normal(0, 2, observed.shape).astype("float32")
    for start in range(0, NUM_EXAMPLES, 4):
        rows = np.array(order[start : start + 4])
        yield {"observed": observed[rows], "index": rows}, {"logits": logits[rows]}


def ranked_by_hand(scores, observed):
    """K N highest scores, shared out as the observed positives are, none of them a negative."""
    expected = np.zeros(scores.shape, bool)
    for label in range(NUM_LABELS):
        share = (observed[:, label] == 1).sum() / (observed == 1).sum()
        count = round(K * NUM_EXAMPLES * share)
        for row in sorted(range(NUM_EXAMPLES), key=lambda row, label=label: -scores[row, label])[
            :count
        ]:
            expected[row, label] = scores[row, label] > 0
    return expected


@pytest.mark.parametrize("order", [range(9), [7, 2, 8, 0, 3, 1, 6, 4, 5]])
@pytest.mark.parametrize("name", ["en", "ep", "en+cl"])
def test_epochs_by_hand(train, name, order):
    options = {"gamma": 0.7} if name == "en+cl" else {}
    loss = make(name, mu=0.6, **options)
    observed = training_set()
    scores = (observed == 1).astype("float64")
    rng = np.random.default_rng(1)
    for epoch in range(3):
        expected = ranked_by_hand(scores, observed)
        if epoch == 0:
            np.testing.assert_array_equal(expected, observed == 1)
        epoch_batches = list(batches(rng, list(order)))
        values = train(loss, epoch, 3, epoch_batches)
        np.testing.assert_array_equal(loss.state.expected.numpy(), expected)
        for value, (y_true, y_pred) in zip(values, epoch_batches, strict=True):
            rows, logits = y_true["index"], y_pred["logits"].astype("float64")
            terms = verelst(observed[rows], logits, expected[rows], name == "ep")
            if name == "en+cl":
                terms = terms + 0.7 * np.abs(sigmoid(logits) - scores[rows]).mean(axis=1)
            assert value == pytest.approx(terms.mean(), rel=1e-5)
            moved = 0.6 * scores[rows] + 0.4 * sigmoid(logits)
            scores[rows] = np.where(observed[rows] == -1, 0, moved)
        np.testing.assert_allclose(loss.state.scores.numpy(), scores, rtol=1e-5)
    assert (expected & (observed == 0)).any() and not expected[observed == -1].any()


def test_first_epoch_is_assume_negative(train):
    loss = make("en")
    y_true, y_pred = next(batches(np.random.default_rng(1), range(9)))
    expected = losses.get("an")(y_true, y_pred) / NUM_LABELS
    (value,) = train(loss, 0, 3, [(y_true, y_pred)])
    assert value == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.tensorflow_only("traces of tf.function")
@pytest.mark.parametrize("name", ["en", "en+cl"])
def test_one_graph_for_all_epochs(train, name):
    import tensorflow as tf

    loss = make(name)

    @tf.function
    def step(y_true, y_pred):
        loss.training = True
        return loss(y_true, y_pred)

    by_hand = make(name)
    rng = np.random.default_rng(1)
    for epoch in range(3):
        epoch_batches = list(batches(rng, list(range(9))))[:2]
        loss.begin_epoch(epoch, 3)
        values = [
            float(step(*tf.nest.map_structure(tf.constant, batch))) for batch in epoch_batches
        ]
        np.testing.assert_allclose(values, train(by_hand, epoch, 3, epoch_batches), rtol=1e-6)
    assert step.experimental_get_tracing_count() == 1
    for variable, other in zip(loss.state.variables, by_hand.state.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), other.numpy())


def test_memory_and_its_description():
    loss = losses.get("en", num_examples=82_081, num_labels=80, expected_positives=2.9)
    size = sum(np.asarray(v).nbytes for v in loss.state.variables)
    for described in (loss, loss.state):
        assert f"{size:,}" in type(described).__doc__.replace("\n        ", " ")


def test_no_epoch_begins_without_observed_positives():
    options = {"num_examples": 4, "num_labels": 2, "expected_positives": 1.5}
    for observed in (None, np.zeros((4, 2))):
        loss = losses.get("en", observed=observed, **options)
        with pytest.raises(ValueError, match="`observed`.*with positives"):
            loss.begin_epoch(0, 2)


def test_arguments_out_of_range():
    options = {"num_examples": 4, "num_labels": 2, "expected_positives": 1.5}
    with pytest.raises(ValueError, match=r"observed.*\(4, 2\).*\(2, 4\)"):
        losses.get("en", observed=np.zeros((2, 4)), **options)
    with pytest.raises(ValueError, match="`mu`.*Received: mu=1.5"):
        losses.get("ep", mu=1.5, **options)
    with pytest.raises(ValueError, match="`gamma`.*Received: gamma=-1"):
        losses.get("en+cl", gamma=-1, **options)
    with pytest.raises(ValueError, match="`expected_positives`.*Received"):
        losses.get("en", **{**options, "expected_positives": 0})
    with pytest.raises(ValueError, match="`num_examples` or `num_labels`"):
        losses.get("en", **{**options, "num_examples": 0})


@pytest.mark.parametrize(
    "observed",
    [
        [[1, 0], [0, 1], [1, 0], [0, 1]],
        [[1, 1], [1, 1], [1, 1], [1, 1]],
        [[1, 1], [1, 0], [0, 1], [-1, 0]],
    ],
)
def test_as_many_positives_are_expected_however_many_are_observed(observed):
    loss = losses.get(
        "en",
        num_examples=4,
        num_labels=2,
        expected_positives=1.5,
        observed=np.array(observed, "int8"),
    )
    assert loss.state.counts.numpy().tolist() == [3, 3]


@pytest.mark.parametrize("name", ["en", "en+cl", "ep"])
def test_index_is_needed(name):
    loss = make(name)
    with pytest.raises(ValueError, match="`y_true`.*index.*Received"):
        loss(training_set(), {"logits": training_set()})
    with pytest.raises(ValueError, match=r"`y_true`.*index.*Received: \['observed'\]"):
        loss({"observed": training_set()}, {"logits": training_set()})

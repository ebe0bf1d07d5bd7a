"""Labels that are known to be absent, -1 among the observed, count in every loss that can."""

import math

import numpy as np
import pytest
from keras import ops

from keras_patchpu import losses

OBSERVED = np.array([[1, 0, -1, 0], [-1, 1, 0, 1], [0, -1, -1, 0]], "float32")
LOGITS = np.random.default_rng(0).normal(0, 2, (3, 4)).astype("float32")
EMBEDDINGS = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")
OUTPUTS = {"logits": ops.array(LOGITS), "image_embeddings": ops.array(EMBEDDINGS)}
EXPECTED_POSITIVES = 1.4


def p(logit):
    return 1 / (1 + math.exp(-logit))


def nl(x):
    return -math.log(x)


def per_label(terms):
    """`terms(z, p)` of each entry, in float64."""
    values = np.zeros(OBSERVED.shape)
    for entry in np.ndindex(OBSERVED.shape):
        values[entry] = terms(OBSERVED[entry], p(float(LOGITS[entry])), entry)
    return values


def test_assume_negative_takes_them_as_the_others():
    expected = per_label(lambda z, p, _: nl(p) if z == 1 else nl(1 - p)).sum(axis=1)
    loss = losses.get("an").call({"observed": ops.array(OBSERVED)}, OUTPUTS)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weak_negative_weighs_them_by_one():
    def weight(row, label):
        unit = EMBEDDINGS[row].astype("float64")
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        similarities = [unit[label] @ unit[k] for k in np.flatnonzero(OBSERVED[row] == 1)]
        return max([s if s > 0 else 0.0 for s in similarities], default=0.0)

    def terms(z, p, entry):
        return nl(p) if z == 1 else nl(1 - p) * (1.0 if z == -1 else weight(*entry))

    loss = losses.get("wn").call({"observed": ops.array(OBSERVED)}, OUTPUTS)
    np.testing.assert_allclose(loss, per_label(terms).sum(axis=1), rtol=1e-5)


def observed_terms(z, p, _):
    return {1: nl(p), 0: 0.0, -1: nl(1 - p)}[int(z)]


def penalty(probabilities):
    mean = probabilities.sum(axis=1).mean()
    return ((mean - EXPECTED_POSITIVES) / OBSERVED.shape[1]) ** 2


def test_expected_positives():
    probabilities = per_label(lambda z, p, _: p)
    expected = per_label(observed_terms).mean(axis=1) + penalty(probabilities)
    loss = losses.get("epr", expected_positives=EXPECTED_POSITIVES)
    value = loss.call({"observed": ops.array(OBSERVED)}, OUTPUTS)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_online_label_estimation():
    loss = losses.get(
        "role", num_examples=3, num_labels=4, expected_positives=1.4, observed=OBSERVED
    )
    start = loss.state.logits.numpy()
    known = {1: 0.995, -1: 0.005}
    for entry, z in np.ndenumerate(OBSERVED):
        if z:
            assert p(start[entry]) == pytest.approx(known[int(z)], abs=1e-6)
        else:
            assert 0.4 <= p(start[entry]) <= 0.6

    def student(own, teacher):
        values = np.zeros(OBSERVED.shape)
        for entry, z in np.ndenumerate(OBSERVED):
            q, t = p(float(own[entry])), p(float(teacher[entry]))
            values[entry] = {1: nl(q), 0: 0.0, -1: nl(1 - q)}[int(z)]
            values[entry] += t * nl(q) + (1 - t) * nl(1 - q)
        probabilities = 1 / (1 + np.exp(-own.astype("float64")))
        return values.mean(axis=1) + penalty(probabilities)

    expected = (student(LOGITS, start) + student(start, LOGITS)) / 2
    index = ops.array([0, 1, 2])
    value = loss.call({"observed": ops.array(OBSERVED), "index": index}, OUTPUTS)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


SIZES = {"num_examples": 3, "num_labels": 4}
EXPECTED = {**SIZES, "expected_positives": 5.0, "observed": OBSERVED}
OPTIONS = {
    "an": {},
    "wn": {},
    "epr": {"expected_positives": 1.4},
    "wan": {},
    "en": EXPECTED,
    "ep": EXPECTED,
    "en+cl": EXPECTED,
    "en+scl": {**EXPECTED, "grid": (2, 2), "map_size": 2},
    "ll_r": {"delta_rel": 100},
    "ll_ct": {"delta_rel": 100},
    "ll_cp": {**SIZES, "delta_rel": 100},
    "em": {},
    "em+apl": {**SIZES, "warmup_epochs": 1},
    "gr": {},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_known_negative_is_pushed_down(name, value_and_gradients):
    """In every epoch, and even where all that may be taken for a positive is."""
    loss = losses.get(name, **OPTIONS[name])
    y_true = {"observed": ops.array(OBSERVED), "index": ops.array([0, 1, 2])}
    attention = ops.array(np.full((3, 4, 4), 0.25, "float32"))

    def trained(logits):
        loss.training = True
        return loss(y_true, {**OUTPUTS, "logits": logits, "attention": attention})

    for epoch in range(3):
        loss.begin_epoch(epoch, 3)
        _, (gradient,) = value_and_gradients(trained, [LOGITS])
        assert np.isfinite(gradient).all()
        assert (gradient[OBSERVED == -1] > 0).all()
    if name in ("en", "ep", "en+cl", "en+scl"):
        expected, scores = loss.state.expected.numpy(), loss.state.scores.numpy()
        candidates = (OBSERVED != -1) & (OBSERVED == 1).any(axis=0)
        np.testing.assert_array_equal(expected, candidates)
        assert (scores[OBSERVED == -1] == 0).all() and (scores[OBSERVED != -1] > 0).all()
    if name == "en+scl":
        assert not loss.state.maps.numpy()[OBSERVED == -1].any()
    if name == "ll_cp":
        np.testing.assert_array_equal(loss.state.flipped.numpy(), OBSERVED == 0)
    if name == "em+apl":
        assert (loss.state.labels.numpy()[OBSERVED != 0] == -1).all()
        assert (loss.state.scores.numpy()[OBSERVED != 0] == 2).all()


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in ("wn", "epr")])
def test_of_known_negatives_alone_it_is_their_crossentropy(name):
    loss = losses.get(name, **OPTIONS[name])
    y_true = {"observed": ops.array([[-1.0, -1, -1, -1]]), "index": ops.array([2])}
    attention = ops.array(np.full((1, 4, 4), 0.25, "float32"))
    for epoch in range(2):
        loss.begin_epoch(epoch, 2)
        loss.training = True
        value = float(loss(y_true, {"logits": LOGITS[:1], "attention": attention}))
        terms = [nl(1 - p(float(logit))) for logit in LOGITS[0]]
        expected = sum(terms) if name in ("an", "wan") else np.mean(terms)
        if name in ("en+cl", "en+scl"):  # at a distance from 0
            expected += np.mean([p(float(logit)) for logit in LOGITS[0]])
        assert value == pytest.approx(expected, rel=1e-5)

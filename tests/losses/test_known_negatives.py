"""Labels that are known to be absent, -1 among the observed, count in every loss that can."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_patchpu import losses

OBSERVED = np.array([[1, 0, -1, 0], [-1, 1, 0, 1], [0, -1, -1, 0]], "float32")
LOGITS = np.random.default_rng(0).normal(0, 2, (3, 4)).astype("float32")
EMBEDDINGS = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")
OUTPUTS = {"logits": tf.constant(LOGITS), "image_embeddings": tf.constant(EMBEDDINGS)}
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
    loss = losses.get("an").call({"observed": tf.constant(OBSERVED)}, OUTPUTS)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_weak_negative_weighs_them_by_one():
    def weight(row, label):
        unit = EMBEDDINGS[row].astype("float64")
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        similarities = [unit[label] @ unit[k] for k in np.flatnonzero(OBSERVED[row] == 1)]
        return max([s if s > 0 else 0.0 for s in similarities], default=0.0)

    def terms(z, p, entry):
        return nl(p) if z == 1 else nl(1 - p) * (1.0 if z == -1 else weight(*entry))

    loss = losses.get("wn").call({"observed": tf.constant(OBSERVED)}, OUTPUTS)
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
    value = loss.call({"observed": tf.constant(OBSERVED)}, OUTPUTS)
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
    index = tf.constant([0, 1, 2])
    value = loss.call({"observed": tf.constant(OBSERVED), "index": index}, OUTPUTS)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["an", "wn", "epr"])
def test_a_known_negative_is_pushed_down(name):
    options = {"expected_positives": 1.4} if name == "epr" else {}
    loss = losses.get(name, **options)
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss.call({"observed": tf.constant(OBSERVED)}, {**OUTPUTS, "logits": logits})
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[OBSERVED == -1] > 0).all()

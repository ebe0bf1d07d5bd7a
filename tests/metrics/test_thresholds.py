"""The threshold of the largest F1, against scikit-learn and a search over all of them."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import f1_score, precision_recall_curve

from keras_patchpu.metrics import calibrate_thresholds

SHAPES = st.shared(st.tuples(st.integers(1, 20), st.integers(1, 3)), key="shape")
LABELS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
TIED_SCORES = hnp.arrays("float32", SHAPES, elements=st.sampled_from([0, 0.25, 0.5, 1]))
SCORES = hnp.arrays("float32", SHAPES, elements=st.floats(0, 1, width=32))


def f1_by_scikit_learn(truth, scores, threshold):
    return f1_score(truth, scores >= threshold)


@hypothesis.settings(max_examples=150)
@hypothesis.given(LABELS, st.one_of(TIED_SCORES, SCORES))
def test_no_threshold_is_better_and_none_as_good_is_higher(labels, scores):
    thresholds, f1 = calibrate_thresholds(labels, scores)
    assert thresholds.shape == f1.shape == labels.shape[1:]
    for column in range(labels.shape[1]):
        known = labels[:, column] >= 0
        truth, score = labels[known, column] == 1, scores[known, column].astype("float64")
        if not truth.any():
            assert np.isnan([thresholds[column], f1[column]]).all()
            continue
        reached = f1_by_scikit_learn(truth, score, thresholds[column])
        assert f1[column] == pytest.approx(reached, abs=1e-12)
        others = {value: f1_by_scikit_learn(truth, score, value) for value in np.unique(score)}
        assert reached == pytest.approx(max(others.values()), abs=1e-12)
        best = max(value for value, other in others.items() if other > reached - 1e-12)
        # The same images are let in.
        np.testing.assert_array_equal(score >= thresholds[column], score >= best)


def test_equals_the_best_point_of_the_curve():
    rng = np.random.default_rng(0)
    labels = (rng.random((500, 4)) < 0.2).astype("float32")
    scores = 1 / (1 + np.exp(-(2 * labels + rng.normal(size=labels.shape))))
    thresholds, f1 = calibrate_thresholds(labels, scores)
    for column in range(4):
        precision, recall, cuts = precision_recall_curve(labels[:, column], scores[:, column])
        curve = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
        assert f1[column] == pytest.approx(curve.max())
        below = np.sort(scores[:, column])[::-1]
        cut = cuts[np.flatnonzero(curve > curve.max() - 1e-12)[-1]]
        assert thresholds[column] == pytest.approx((cut + below[below < cut][0]) / 2)


def test_by_hand():
    labels = np.array([[1, 1, 1], [0, 0, 0], [1, -1, 0], [0, 0, 1]])
    scores = np.array([[0.9, 0.2, 0.4], [0.8, 0.6, 0.4], [0.7, 0.9, 0.4], [0.1, 0.1, 0.4]])
    thresholds, f1 = calibrate_thresholds(labels, scores)
    # 0.9 alone: 2/3; down to 0.7: 4/5. Then, of three, all but the lowest: 2/3. Then all: 2/3.
    np.testing.assert_allclose(thresholds, [0.4, 0.15, 0.2])
    np.testing.assert_allclose(f1, [4 / 5, 2 / 3, 2 / 3])


def test_the_highest_of_equals():
    # 0.9 alone and all three have an F1 of 2/3.
    (threshold,), (f1,) = calibrate_thresholds([[1], [0], [0], [1]], [[0.9], [0.8], [0.7], [0.6]])
    assert (threshold, f1) == (pytest.approx(0.85), pytest.approx(2 / 3))


def test_scores_that_are_not_numbers():
    thresholds, f1 = calibrate_thresholds([[1, 1], [0, -1]], [[np.nan, 0.5], [0.5, np.nan]])
    np.testing.assert_array_equal(thresholds, [np.nan, 0.25])
    np.testing.assert_array_equal(f1, [np.nan, 1])


def test_no_images():
    thresholds, f1 = calibrate_thresholds(np.zeros((0, 2)), np.zeros((0, 2)))
    assert np.isnan(thresholds).all() and np.isnan(f1).all() and len(f1) == 2

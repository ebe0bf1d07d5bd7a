"""Calibration: by scikit-learn, by a loop, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import calibration_curve

from keras_patchpu.reporting.calibration import measure_calibration

SHAPE = (30, 4)
LOGITS = hnp.arrays("float32", SHAPE, elements=st.floats(-30, 30, width=32))
LABELS = hnp.arrays("int8", SHAPE, elements=st.sampled_from([-1, 0, 1]))


@given(labels=LABELS, logits=LOGITS)
def test_the_diagram_is_that_of_scikit_learn(labels, logits):
    known = labels >= 0
    if len(np.unique(labels[known])) < 2:
        return
    scores = 1 / (1 + np.exp(-logits[known].astype("float64")))
    shares, means = calibration_curve(labels[known], scores, n_bins=10)
    calibration = measure_calibration(labels, logits)
    full = calibration.counts > 0
    # scikit-learn has the edge of two bins in the lower one.
    if np.isclose(scores * 10, np.round(scores * 10), atol=1e-9).any():
        return
    np.testing.assert_allclose(calibration.shares_present[full], shares)
    np.testing.assert_allclose(calibration.mean_scores[full], means)


@given(labels=LABELS, logits=LOGITS, num_bins=st.integers(1, 20))
def test_the_error_by_a_loop(labels, logits, num_bins):
    pairs = [
        (1 / (1 + np.exp(-float(logit))), label == 1)
        for label, logit in zip(labels.ravel(), logits.ravel(), strict=True)
        if label >= 0
    ]
    if not pairs:
        with pytest.raises(ValueError, match="known"):
            measure_calibration(labels, logits, num_bins)
        return
    error = 0.0
    for place in range(num_bins):
        inside = [pair for pair in pairs if min(int(pair[0] * num_bins), num_bins - 1) == place]
        if inside:
            score = sum(pair[0] for pair in inside) / len(inside)
            share = sum(pair[1] for pair in inside) / len(inside)
            error += len(inside) / len(pairs) * abs(score - share)
    calibration = measure_calibration(labels, logits, num_bins)
    assert calibration.error == pytest.approx(error)
    assert calibration.counts.sum() == len(pairs)
    assert calibration.labels_expected == pytest.approx(sum(p for p, _ in pairs) / len(labels))
    assert calibration.labels_present == pytest.approx(sum(t for _, t in pairs) / len(labels))


def test_by_hand():
    labels = np.array([[1, 0], [1, -1]])
    logits = np.log(np.array([[0.8 / 0.2, 0.25 / 0.75], [0.85 / 0.15, 1.0]]))
    calibration = measure_calibration(labels, logits)
    assert calibration.counts.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 2, 0]
    assert calibration.mean_scores[8] == pytest.approx(0.825)
    assert calibration.error == pytest.approx((0.25 + 2 * 0.175) / 3)
    assert np.isnan(calibration.mean_scores[0]) and np.isnan(calibration.shares_present[0])


def test_scores_that_are_perfect():
    labels = np.array([[1, 0]] * 5)
    assert measure_calibration(labels, 1000.0 * (2 * labels - 1)).error < 1e-100

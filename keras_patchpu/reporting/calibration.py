"""Whether a score of 70% is right in 70 of 100 cases."""

import dataclasses

import numpy as np
from scipy.special import expit

NUM_BINS = 10


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Scores beside the truth, in B bins of equal width.

    Attributes:
        counts: `(B,)` image-label pairs with a score in the bin.
        mean_scores: `(B,)` their mean score, from 0 to 1; NaN where there are none.
        shares_present: `(B,)` the share of them whose label is present; NaN where there are none.
        error: the expected calibration error: the mean distance between the two, each bin weighted
            by its count.
        labels_expected: summed scores, of labels whose truth is known, of an image.
        labels_present: labels that an image has.
    """

    counts: np.ndarray
    mean_scores: np.ndarray
    shares_present: np.ndarray
    error: float
    labels_expected: float
    labels_present: float


def measure_calibration(
    labels: np.ndarray, logits: np.ndarray, num_bins: int = NUM_BINS
) -> Calibration:
    """Compares the scores of N images and L labels with their truth, all labels together.

    A score on the edge of two bins is in the upper one, as with `numpy.histogram`.

    Args:
        labels: `(N, L)` 1 present, 0 absent, -1 unknown, which is left out.
        logits: `(N, L)`; the scores are their sigmoids.
        num_bins: B.

    Raises:
        ValueError: no label is known.
    """
    known = labels >= 0
    if not known.any():
        raise ValueError("Invalid value for argument `labels`. Expected a known one. Received none")
    scores, present = expit(logits[known].astype("float64")), labels[known] == 1
    places = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    counts = np.bincount(places, minlength=num_bins)
    summed_scores = np.bincount(places, scores, num_bins)
    num_present = np.bincount(places, present, num_bins)
    with np.errstate(invalid="ignore"):
        mean_scores, shares = summed_scores / counts, num_present / counts
    return Calibration(
        counts=counts,
        mean_scores=mean_scores,
        shares_present=shares,
        error=float(np.abs(summed_scores - num_present).sum() / counts.sum()),
        labels_expected=float(scores.sum() / len(labels)),
        labels_present=float(present.sum() / len(labels)),
    )

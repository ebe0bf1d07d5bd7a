"""From which score on a label is said to be there."""

import numpy as np


def calibrate_thresholds(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each label the threshold with the largest F1 on these images, and that F1.

    An image has the label if its score is at least the threshold. Of thresholds with the same F1
    the highest is taken, which names the label least often. It lies half way between the lowest
    score that it lets in and the next one below, so that rounding does not decide; where it lets
    all images in, half way to 0.

    Args:
        labels: `(N, L)`: 1 present, 0 absent, -1 unknown: that image is left out for that label.
        scores: `(N, L)` in 0..1.

    Returns:
        float64 `(L,)` thresholds and `(L,)` F1 in 0..1. Both are NaN for a label without a
        positive, and for one with a score that is NaN.
    """
    columns = zip(np.asarray(labels).T, np.asarray(scores, "float64").T, strict=True)
    best = [_calibrate(truth[truth >= 0] == 1, score[truth >= 0]) for truth, score in columns]
    thresholds, f1 = np.array(best, "float64").reshape(-1, 2).T
    return thresholds, f1


def _calibrate(present, scores):
    """Threshold and F1 of one label, `(N,)` each."""
    if not present.any() or np.isnan(scores).any():
        return np.nan, np.nan
    order = np.argsort(-scores)
    scores = scores[order]
    found = np.cumsum(present[order])
    f1 = 2 * found / (np.arange(1, len(scores) + 1) + present.sum())
    # Images of one score are let in together: at the last of them.
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    best = last[np.argmax(f1[last])]
    lower = np.append(scores, 0.0)[best + 1]
    return (scores[best] + lower) / 2, f1[best]

"""What scores are worth as decisions: the field's figures beside mAP."""

import numpy as np
from scipy.special import expit

# Where a score is taken for a yes, as the field does whatever the model.
THRESHOLD = 0.5
# Of the k best labels of an image.
RANKS = (1, 3, 5)


def decision_metrics(labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of the labels that reach a score of 0.5, and of the best ones.

    * `CP`, `CR`: the mean over the L labels of precision and recall, 0 for a label that is nowhere
      predicted or nowhere present; `OP`, `OR`: those of all entries together. `CF1`, `OF1`: the
      harmonic mean of the two, as the field has it (Query2Label, Liu et al. 2021), which for `CF1`
      is not the mean of the F1 of each label.
    * `P@k`: the share of present ones among the k best labels of an image, mean over images; an
      image with fewer labels that are known counts those (MLSPL, Cole et al. 2021), and one without
      any does not count.
    * `expected_positives`: the mean over images of the sum of their scores, beside
      `true_positives`, how many labels an image has.

    Args:
        labels: `(N, L)`: 1 present, 0 absent, -1 unknown, which is left out.
        logits: `(N, L)`.

    Returns:
        By name, percent but for the last two, which are numbers of labels.

    Raises:
        ValueError: the shapes differ.
    """
    labels, logits = np.asarray(labels), np.asarray(logits)
    if labels.shape != logits.shape:
        raise ValueError(
            "Invalid value for argument `labels` or `logits`. Expected the same shape. Received: "
            f"{labels.shape} and {logits.shape}"
        )
    counting = (labels != -1).any(axis=1)
    labels, logits = labels[counting], logits[counting]
    present, known, scores = labels == 1, labels != -1, expit(logits)
    predicted = known & (scores >= THRESHOLD)
    counts = [entries.sum(axis=0) for entries in (present & predicted, predicted, present)]
    class_precision, class_recall = _precision_and_recall(*counts)
    precision, recall = _precision_and_recall(*(count.sum() for count in counts))
    figures = {
        "CP": class_precision.mean(),
        "CR": class_recall.mean(),
        "CF1": _harmonic_mean(class_precision.mean(), class_recall.mean()),
        "OP": precision,
        "OR": recall,
        "OF1": _harmonic_mean(precision, recall),
    }
    ranked = np.argsort(np.where(known, -logits, np.inf), axis=1, kind="stable")[:, : max(RANKS)]
    for k in RANKS:
        best = ranked[:, :k]
        found = np.take_along_axis(present, best, axis=1).sum(axis=1)
        among = np.take_along_axis(known, best, axis=1).sum(axis=1)
        figures[f"P@{k}"] = _mean(_share(found, among))
    return {name: float(100 * figure) for name, figure in figures.items()} | {
        "expected_positives": _mean(scores.sum(axis=1, where=known, dtype="float64")),
        "true_positives": _mean(present.sum(axis=1)),
    }


def _precision_and_recall(found, predicted, present):
    return _share(found, predicted), _share(found, present)


def _share(part, whole):
    """0 of nothing."""
    return part / np.maximum(whole, 1)


def _mean(values):
    """0 of none."""
    return float(values.mean()) if len(values) else 0.0


def _harmonic_mean(precision, recall):
    return 2 * precision * recall / max(precision + recall, np.finfo(float).tiny)

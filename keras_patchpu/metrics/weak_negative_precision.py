"""How often a weak negative is a negative, and how many of the negatives are found."""

import itertools
from collections.abc import Sequence

import numpy as np

# Tenths of [0, 1] rather than of the entries: a weak negative is the weight of a term of the loss,
# and these are the same weights in every epoch, run and data set.
EDGES = np.arange(11) / 10


def weak_negative_report(
    labels: np.ndarray,
    observed: np.ndarray,
    weak_negatives: np.ndarray,
    label_names: Sequence[str],
) -> dict:
    """Compares weak negatives with the truth of N images and L labels.

    Counted are the entries that are unobserved and whose truth is known. The weight says of such
    an entry that its label is absent, surely where it is 1 and not at all where it is 0.

    * `unobserved`: the entries counted; `absent`: those of them whose label is absent, and
      `base_rate`, their share: the precision of a guess.
    * `weak_negatives`: the entries with a weight above 0.
    * `precision`: of these, the share whose label is absent; `weighted_precision`: the share of
      their summed weight that is on such labels, and so of all the negative evidence in the loss.
    * `recall`: the share of the absent with a weight above 0; `weighted_recall`: their mean weight.
    * `tenths`: for the weights in `(above, up_to]`, ten times the same: `count`, `absent`,
      `precision`; and `recall_above`, the share of the absent with a weight greater than `above`.
    * `labels`: by name all of this but `tenths`.

    Args:
        labels: `(N, L)` truth: 1 present, 0 absent, -1 unknown, which is left out.
        observed: `(N, L)`: 1 observed positive, 0 unobserved, -1 known negative. Entries other
            than 0 are left out, for their weight is no estimate.
        weak_negatives: `(N, L)` weights in [0, 1], see `losses.weak_negatives`. A similarity of 1
            may be rounded up, and a `theta` below 0 leads to negative ones: both are clipped.
        label_names: the L names.

    Returns:
        JSON values; None for a share of nothing.

    Raises:
        ValueError: the shapes differ.
    """
    shape = np.shape(labels)
    if not shape == np.shape(observed) == np.shape(weak_negatives) == (shape[0], len(label_names)):
        raise ValueError(
            "Invalid value for argument `labels`, `observed` or `weak_negatives`. Expected shape "
            f"`(N, {len(label_names)})` for each. Received: {shape}, {np.shape(observed)} and "
            f"{np.shape(weak_negatives)}"
        )
    counted = (observed == 0) & (labels >= 0)
    absent = labels == 0
    weights = np.clip(weak_negatives.astype("float64"), 0, 1)
    return {
        **_totals(absent[counted], weights[counted]),
        "tenths": _tenths(absent[counted], weights[counted]),
        "labels": {
            name: _totals(absent[rows, column], weights[rows, column])
            for column, (name, rows) in enumerate(zip(label_names, counted.T, strict=True))
        },
    }


def _totals(absent, weights):
    found = weights > 0
    return {
        "unobserved": len(absent),
        "absent": int(absent.sum()),
        "weak_negatives": int(found.sum()),
        "base_rate": _share(absent.sum(), len(absent)),
        "precision": _share(absent[found].sum(), found.sum()),
        "weighted_precision": _share(weights[absent].sum(), weights.sum()),
        "recall": _share(found[absent].sum(), absent.sum()),
        "weighted_recall": _share(weights[absent].sum(), absent.sum()),
    }


def _tenths(absent, weights):
    # The place of a weight of 0 is -1, which no tenth has.
    places = np.searchsorted(EDGES, weights, side="left") - 1
    tenths = []
    for place, (above, up_to) in enumerate(itertools.pairwise(EDGES)):
        inside = places == place
        tenths.append(
            {
                "above": float(above),
                "up_to": float(up_to),
                "count": int(inside.sum()),
                "absent": int(absent[inside].sum()),
                "precision": _share(absent[inside].sum(), inside.sum()),
                "recall_above": _share((places[absent] >= place).sum(), absent.sum()),
            }
        )
    return tenths


def _share(part, whole):
    return round(float(part / whole), 6) if whole else None

"""The scores of image-label pairs by what is known of them."""

from typing import NamedTuple

import numpy as np


class ScoreGroup(NamedTuple):
    """Image-label pairs of one kind: what they are, and their logits `(K,)`."""

    title: str
    logits: np.ndarray


def groups_of_training(
    labels: np.ndarray, observed: np.ndarray, logits: np.ndarray, truth_known: bool
) -> list[ScoreGroup]:
    """Pairs of images that the model has learnt from; groups without a pair are left out.

    Args:
        labels: `(N, L)` truth: 1 present, 0 absent, -1 unknown.
        observed: `(N, L)` what the loss saw: 1 positive, -1 known negative, 0 nothing.
        logits: `(N, L)`.
        truth_known: whether somebody has looked for every label in every image.
    """
    groups = [
        ("observed: present", observed == 1),
        ("observed: absent", observed == -1),
    ]
    if truth_known:
        groups += [
            ("not observed, but present", (observed == 0) & (labels == 1)),
            ("not observed, absent", (observed == 0) & (labels == 0)),
        ]
    else:
        groups.append(("not observed", observed == 0))
    return _groups(groups, logits)


def groups_of_test(labels: np.ndarray, logits: np.ndarray, truth_known: bool) -> list[ScoreGroup]:
    """Pairs of images that the model has not learnt from; see `groups_of_training`."""
    groups = [("present", labels == 1), ("absent", labels == 0)]
    if not truth_known:
        groups.append(("not known", labels == -1))
    return _groups(groups, logits)


def _groups(groups, logits):
    return [ScoreGroup(title, logits[pairs]) for title, pairs in groups if pairs.any()]

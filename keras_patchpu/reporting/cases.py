"""Which images of a split are worth a look."""

import collections
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Of one label, so that a gallery is not all of the most frequent one.
MOST_OF_A_LABEL = 2


class Case(NamedTuple):
    """An image to look at.

    Attributes:
        row: of the image.
        columns: of the labels whose maps are worth a look, at least one.
        margin: see `ranked_cases`; for `highest_absent` the logit.
    """

    row: int
    columns: tuple[int, ...]
    margin: float


def ranked_cases(
    present: np.ndarray, absent: np.ndarray, logits: np.ndarray, count: int
) -> tuple[list[Case], list[Case]]:
    """The images that a model gets right with the most certainty, and those it gets most wrong.

    By the margin: the lowest logit of a label that is present less the highest of one that is
    absent. It is positive where all labels that are present come before all others. At most
    `MOST_OF_A_LABEL` images have the same label with that lowest logit.

    Args:
        present, absent: bool `(N, L)`; an image without one of either kind is no case.
        logits: `(N, L)`.
        count: of each kind, or as many as there are.

    Returns:
        The best, of positive margin: those with as many labels as the mean of all or more, for
        which it is harder, then the others, each largest first. Their labels are the two present
        that have the lowest logits, the lowest first. And the worst, of negative margin, smallest
        first, with the label of the lowest logit and the absent one of the highest.
    """
    rows = np.flatnonzero(present.any(axis=1) & absent.any(axis=1))
    lowest = np.where(present[rows], logits[rows], np.inf)
    missed = lowest.argmin(axis=1)
    highest = np.where(absent[rows], logits[rows], -np.inf)
    false = highest.argmax(axis=1)
    places = np.arange(len(rows))
    margins = lowest[places, missed] - highest[places, false]
    order = np.argsort(-margins, kind="stable")

    best = []
    right = order[margins[order] > 0]
    num_present = present[rows].sum(axis=1)
    is_easy = num_present[right] < num_present.mean() if len(rows) else np.zeros(0, bool)
    for place in _few_of_each(right[np.argsort(is_easy, kind="stable")], missed, count):
        columns = np.argsort(lowest[place], kind="stable")[:2]
        columns = tuple(int(c) for c in columns if present[rows[place], c])
        best.append(Case(int(rows[place]), columns, float(margins[place])))
    worst = [
        Case(int(rows[place]), (int(missed[place]), int(false[place])), float(margins[place]))
        for place in _few_of_each(order[margins[order] < 0][::-1], missed, count)
    ]
    return best, worst


def highest_absent(absent: np.ndarray, logits: np.ndarray, count: int) -> list[Case]:
    """The highest logits of labels that are absent, highest first.

    An image is there once, and a label at most `MOST_OF_A_LABEL` times.

    Args:
        absent: bool `(N, L)`.
        logits: `(N, L)`.
        count: how many, or as many as there are.
    """
    # An image's highest one is enough, and so little to sort that it can be 40,000 images.
    highest = np.where(absent, logits, -np.inf)
    columns = highest.argmax(axis=1)
    values = highest[np.arange(len(columns)), columns]
    order = np.argsort(-values, kind="stable")
    order = order[np.isfinite(values[order])]
    return [
        Case(int(row), (int(columns[row]),), float(values[row]))
        for row in _few_of_each(order, columns, count)
    ]


def _few_of_each(order: Iterable[int], kinds: np.ndarray, count: int) -> Iterable[int]:
    """The first of an order, at most `MOST_OF_A_LABEL` of a kind."""
    taken: collections.Counter = collections.Counter()
    for place in order:
        if taken.total() == count:
            return
        if taken[kinds[place]] < MOST_OF_A_LABEL:
            taken[kinds[place]] += 1
            yield place

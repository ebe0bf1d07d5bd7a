"""Which labels come together, and which one is taken for another where they do not."""

from typing import NamedTuple

import numpy as np


def occurring_together(present: np.ndarray) -> np.ndarray:
    """Of the images with a label (row), the share that has another one (column) too.

    Args:
        present: bool `(N, L)`.

    Returns:
        `(L, L)`, 1 on the diagonal; NaN in the row of a label that no image has.
    """
    together = _count(present, present)
    with np.errstate(invalid="ignore"):
        return together / together.diagonal()[:, None]


def as_many_as_there_are(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Takes, of each label, the highest scores for found: as many as images have it.

    Precision and recall are equal then, and labels can be compared whatever the level of their
    scores. It takes the truth to do so. Equal scores are found together.

    Args:
        labels: `(N, L)` 1 present, 0 absent, -1 unknown, which is never found.
        logits: `(N, L)`.

    Returns:
        bool `(N, L)`.
    """
    found = np.zeros(labels.shape, bool)
    for column, (truth, scores) in enumerate(zip(labels.T, logits.T, strict=True)):
        num_present = int((truth == 1).sum())
        if num_present:
            known = truth >= 0
            lowest = np.partition(scores[known], -num_present)[-num_present]
            found[:, column] = known & (scores >= lowest)
    return found


class Confusion(NamedTuple):
    """How often a label is found that is absent, with another one in the image and without.

    Attributes:
        images: `(L, L)` images with the label of the row that lack that of the column.
        mistakes: `(L, L)` those of them in which the label of the column is found.
        usual: `(L,)` the share of all images without the label in which it is found; NaN where
            there are none.
    """

    images: np.ndarray
    mistakes: np.ndarray
    usual: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """`(L, L)` mistakes by image; NaN where there is no image, as on the diagonal."""
        with np.errstate(invalid="ignore"):
            return self.mistakes / self.images

    @property
    def surplus(self) -> np.ndarray:
        """`(L, L)` mistakes beyond those to be expected if the label of the row did not matter."""
        return self.mistakes - self.images * np.nan_to_num(self.usual)


def confusion(labels: np.ndarray, found: np.ndarray) -> Confusion:
    """Counts the labels that are found where they are absent, by what else is in the image.

    Args:
        labels: `(N, L)` 1 present, 0 absent, -1 unknown.
        found: bool `(N, L)`.
    """
    present, absent = labels == 1, labels == 0
    with np.errstate(invalid="ignore"):
        usual = (absent & found).sum(axis=0) / absent.sum(axis=0)
    return Confusion(_count(present, absent), _count(present, absent & found), usual)


class ConfusedPair(NamedTuple):
    """A label found where it is absent, and the label that is there. `usual` as in `Confusion`."""

    there: int
    found: int
    images: int
    mistakes: int
    usual: float


def most_confused(confusion: Confusion, count: int) -> list[ConfusedPair]:
    """The pairs of labels with the largest surplus of mistakes, at least one, largest first."""
    surplus = confusion.surplus
    order = np.argsort(-surplus, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(order, surplus.shape), strict=True)
    return [
        ConfusedPair(
            int(there),
            int(found),
            int(confusion.images[there, found]),
            int(confusion.mistakes[there, found]),
            float(confusion.usual[found]),
        )
        for there, found in pairs
        if surplus[there, found] >= 1
    ]


def _count(first, second):
    """`(L, L)` images in which both hold. Floats, for the product of integers is slow."""
    return np.rint(first.T.astype("float32") @ second.astype("float32")).astype(int)

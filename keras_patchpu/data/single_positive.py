"""The draw of the one positive label that training sees of each image."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np


def draw_single_positive(
    labels: np.ndarray,
    seed: int,
    keys: Sequence[str] | None = None,
    draw: str = "uniform",
) -> np.ndarray:
    """Keeps one positive label of each image. N images, L labels.

    * `"uniform"` hashes the seed and the image's key into a number and takes the positive that it
      points at. The draw of an image depends on its own labels and key only, so that adding,
      dropping or reordering images changes nothing for the others.
    * `"mlspl"` repeats the published labels of Cole et al., "Multi-Label Learning from Single
      Positive Labels", CVPR 2021 (`preproc/generate_observed_labels.py`; their seed is 1200): one
      generator walks through the images in the order of their keys, so it takes the images of a
      whole phase (VOC's `train`). Images without a positive are not in their lists and are passed
      over here. For COCO their keys are the image ids as unpadded strings.

    Args:
        labels: `(N, L)` truth: 1 present, 0 absent, -1 unknown. Only 1 can be drawn.
        seed: an integer, for `"mlspl"` within 0..2**32 - 1.
        keys: N unique names of the images; by default the row numbers.
        draw: `"uniform"` or `"mlspl"`.

    Returns:
        float32 `(N, L)` observed labels in the order of the rows: a single 1 in each row that has a
        positive, 0 elsewhere.

    Raises:
        ValueError: for labels that are not a matrix, an unknown draw, a wrong number of keys or
            keys that are not unique.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        raise ValueError(
            "Invalid value for argument `labels`. Expected a matrix of shape `(N, L)`. "
            f"Received: labels.shape={labels.shape}"
        )
    if draw not in ("uniform", "mlspl"):
        raise ValueError(
            f"Invalid value for argument `draw`. Expected 'uniform' or 'mlspl'. Received: {draw=}"
        )
    keys = [str(row) for row in range(len(labels))] if keys is None else list(keys)
    if len(keys) != len(labels):
        raise ValueError(
            f"Invalid value for argument `keys`. Expected {len(labels)} keys, one for each row of "
            f"`labels`. Received: len(keys)={len(keys)}"
        )
    if len(set(keys)) != len(keys):
        repeated = next(key for key in sorted(keys) if keys.count(key) > 1)
        raise ValueError(
            "Invalid value for argument `keys`. Expected unique keys. "
            f"Received: {repeated!r} more than once"
        )

    draw_columns = _draw_uniform if draw == "uniform" else _draw_mlspl
    observed = np.zeros(labels.shape, "float32")
    for row, column in draw_columns(labels == 1, seed, keys):
        observed[row, column] = 1
    return observed


def _draw_uniform(present: np.ndarray, seed: int, keys: list[str]) -> Iterator[tuple[int, int]]:
    """Yields the row and the drawn column of each image that has a positive."""
    for row, key in enumerate(keys):
        positives = np.flatnonzero(present[row])
        if len(positives):
            digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
            # Of 2**64 numbers the remainder favours no positive by more than L / 2**64.
            yield row, positives[int.from_bytes(digest, "little") % len(positives)]


def _draw_mlspl(present: np.ndarray, seed: int, keys: list[str]) -> Iterator[tuple[int, int]]:
    """Yields the row and the drawn column of each image that has a positive."""
    rng = np.random.RandomState(seed)
    for row in sorted(range(len(keys)), key=keys.__getitem__):
        positives, negatives = np.flatnonzero(present[row]), np.flatnonzero(~present[row])
        if len(positives):
            rng.shuffle(positives)
            # The published code shuffles the negatives as well, which moves the generator on.
            rng.shuffle(negatives)
            yield row, positives[0]

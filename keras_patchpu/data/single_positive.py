"""The draw of the one positive label that training sees of each image."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np


def draw_single_positive(
    labels: np.ndarray,
    seed: int,
    keys: Sequence[str] | None = None,
    draw: str = "uniform",
    weights: np.ndarray | None = None,
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
        weights: `(N, L)`, 0 or more: of an image's positives each is drawn in proportion to its
            weight. By default all are equal. For `"uniform"` only.

    Returns:
        float32 `(N, L)` observed labels in the order of the rows: a single 1 in each row that has a
        positive, 0 elsewhere.

    Raises:
        ValueError: for labels that are not a matrix, an unknown draw, a wrong number of keys or
            keys that are not unique; for weights that are negative, of another shape, or all 0
            for the positives of an image.
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

    present = labels == 1
    if weights is not None:
        weights = _check_weights(weights, present, draw)
        drawn = _draw_weighted(present, seed, keys, weights)
    elif draw == "uniform":
        drawn = _draw_uniform(present, seed, keys)
    else:
        drawn = _draw_mlspl(present, seed, keys)
    observed = np.zeros(labels.shape, "float32")
    for row, column in drawn:
        observed[row, column] = 1
    return observed


def _check_weights(weights, present, draw):
    weights = np.asarray(weights, "float64")
    if draw != "uniform" or weights.shape != present.shape or not (weights >= 0).all():
        raise ValueError(
            "Invalid value for argument `weights`. Expected numbers from 0 up of shape "
            f"{present.shape}, and draw='uniform'. Received: {draw=}, shape {weights.shape}"
        )
    without = present.any(axis=1) & ((weights * present).sum(axis=1) == 0)
    if without.any():
        raise ValueError(
            "Invalid value for argument `weights`. Expected a weight above 0 for a positive of "
            f"every image. Received: none in row {np.flatnonzero(without)[0]}"
        )
    return weights


def _draw_uniform(present: np.ndarray, seed: int, keys: list[str]) -> Iterator[tuple[int, int]]:
    """Yields the row and the drawn column of each image that has a positive."""
    for row, key in enumerate(keys):
        positives = np.flatnonzero(present[row])
        if len(positives):
            # Of 2**64 numbers the remainder favours no positive by more than L / 2**64.
            yield row, positives[hash_key(seed, key) % len(positives)]


def _draw_weighted(
    present: np.ndarray, seed: int, keys: list[str], weights: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Yields the row and the drawn column of each image that has a positive."""
    for row, key in enumerate(keys):
        positives = np.flatnonzero(present[row] & (weights[row] > 0))
        if len(positives):
            limits = np.cumsum(weights[row, positives])
            place = np.searchsorted(limits, hash_key(seed, key) / 2**64 * limits[-1], side="right")
            # Rounding may put the largest hashes on the last limit.
            yield row, positives[min(place, len(positives) - 1)]


def hash_key(seed: int, key: str) -> int:
    """A number below 2**64 that seed and key decide."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


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

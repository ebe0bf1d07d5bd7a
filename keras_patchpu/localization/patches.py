"""From the attention of patches to maps of the model's square."""

from collections.abc import Sequence

import numpy as np


def patch_coverage(
    grids: Sequence[tuple[int, int]], boxes: np.ndarray, level: int | None = None
) -> np.ndarray:
    """Which cells of the finest patch grid each patch covers.

    A cell is one patch of level 0; a patch of level r covers 2^r by 2^r of them, where the level
    has not left over pixels at its right or bottom. The places of a feature map are patches of one
    level. A model has both arguments, as `attention_grids` and `attention_boxes`.

    Args:
        grids: `(rows, columns)` of each level, `(h, w)` those of level 0.
        boxes: `(M, 4)` of `ymin, xmin, ymax, xmax`, level by level.
        level: the one level to look at, in the order of `grids`; by default all of them.

    Returns:
        float32 `(M, h, w)` of 0 and 1: whether the patch covers the middle of the cell. Patches of
        other levels than `level` cover nothing.

    Raises:
        ValueError: there is no such level.
    """
    rows, columns = grids[0]
    cells = boxes[: rows * columns].reshape(rows, columns, 4)
    in_rows, in_columns = _covered(
        boxes, (cells[:, 0, 0] + cells[:, 0, 2]) / 2, (cells[0, :, 1] + cells[0, :, 3]) / 2
    )
    coverage = (in_rows[:, :, None] & in_columns[:, None, :]).astype("float32")
    if level is not None:
        patches = _of_level(grids, level)
        coverage[: patches.start] = coverage[patches.stop :] = 0
    return coverage


def attention_maps(attention: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The attention of the patches that cover a cell, summed over the levels.

    Args:
        attention: `(..., M)`.
        coverage: `(M, h, w)` of `patch_coverage`.

    Returns:
        `(..., h, w)`, from 0 to 1.
    """
    return np.tensordot(attention, coverage, axes=1)


def dense_maps(
    attention: np.ndarray,
    boxes: np.ndarray,
    image_size: int,
    level: int | None = None,
    grids: Sequence[tuple[int, int]] | None = None,
) -> np.ndarray:
    """The attention of the patches that cover a pixel of the square, summed over the levels.

    Pixels that no patch covers, as a level leaves them over, have 0. Unlike `attention_maps` it is
    exact where the patches of a level do not end with those of the finest.

    Between two edges of boxes all pixels are alike, so the sums are made once for each such band:

    1. which patches cover which bands      `(M, bands)` for rows and for columns
    2. sums                                 `(..., bands, bands)`
    3. every pixel takes that of its bands  `(..., S, S)`

    Args:
        attention: `(..., M)`.
        boxes: `(M, 4)` of `ymin, xmin, ymax, xmax` in pixels of the square.
        image_size: S.
        level: the one level to look at; by default all of them.
        grids: `(rows, columns)` of each level, which `level` needs.

    Returns:
        float32 `(..., S, S)`, from 0 to 1.

    Raises:
        ValueError: there is no such level, or `level` came without `grids`.
    """
    attention = np.asarray(attention, "float32")
    if level is not None:
        if grids is None:
            raise ValueError(f"`level` needs `grids`. Received: level={level}, grids=None")
        patches = _of_level(grids, level)
        attention, boxes = attention[..., patches], boxes[patches]
    middles = np.arange(image_size) + 0.5
    in_rows, in_columns = _covered(boxes, middles, middles)
    row_starts, row_bands = _bands(in_rows)
    column_starts, column_bands = _bands(in_columns)
    in_rows = in_rows[:, row_starts].T.astype("float32")
    in_columns = in_columns[:, column_starts].astype("float32")
    sums = (attention[..., None, :] * in_rows) @ in_columns
    return sums[..., row_bands[:, None], column_bands]


def _covered(boxes, middles_y, middles_x):
    """Which of the heights `(h,)` and places `(w,)` each box holds: bool `(M, h)`, `(M, w)`."""
    top, left, bottom, right = np.asarray(boxes).T[:, :, None]
    in_rows = (top <= middles_y) & (middles_y < bottom)
    in_columns = (left <= middles_x) & (middles_x < right)
    return in_rows, in_columns


def _bands(covered):
    """The first column of each run of equal columns, and the run that each column is in."""
    changes = np.any(covered[:, 1:] != covered[:, :-1], axis=0)
    return np.flatnonzero(np.append(True, changes)), np.append(0, np.cumsum(changes))


def _of_level(grids, level):
    """The patches of one level among all, as a slice."""
    if level not in range(len(grids)):
        raise ValueError(
            f"Invalid value for argument `level`. Expected one of the {len(grids)} levels, from 0. "
            f"Received: level={level}"
        )
    start = sum(rows * columns for rows, columns in grids[:level])
    return slice(start, start + grids[level][0] * grids[level][1])

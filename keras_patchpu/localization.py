"""Where the labels are: from the attention of patches to maps."""

from collections.abc import Sequence

import numpy as np


def patch_coverage(grids: Sequence[tuple[int, int]], boxes: np.ndarray) -> np.ndarray:
    """Which cells of the finest patch grid each patch covers.

    A cell is one patch of level 0; a patch of level r covers 2^r by 2^r of them, where the level
    has not left over pixels at its right or bottom. The places of a feature map are patches of one
    level. A model has both arguments, as `attention_grids` and `attention_boxes`.

    Args:
        grids: `(rows, columns)` of each level, `(h, w)` those of level 0.
        boxes: `(M, 4)` of `ymin, xmin, ymax, xmax`, level by level.

    Returns:
        float32 `(M, h, w)` of 0 and 1: whether the patch covers the middle of the cell.
    """
    rows, columns = grids[0]
    cells = boxes[: rows * columns].reshape(rows, columns, 4)
    middles_y = (cells[:, 0, 0] + cells[:, 0, 2]) / 2
    middles_x = (cells[0, :, 1] + cells[0, :, 3]) / 2
    top, left, bottom, right = boxes.T[:, :, None]
    in_rows = (top <= middles_y) & (middles_y < bottom)
    in_columns = (left <= middles_x) & (middles_x < right)
    return (in_rows[:, :, None] & in_columns[:, None, :]).astype("float32")


def attention_maps(attention: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The attention of the patches that cover a cell, summed over the levels.

    Args:
        attention: `(..., M)`.
        coverage: `(M, h, w)` of `patch_coverage`.

    Returns:
        `(..., h, w)`, from 0 to 1.
    """
    return np.tensordot(attention, coverage, axes=1)

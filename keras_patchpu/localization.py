"""Where the labels are: from the attention of patches to maps."""

import numpy as np

from keras_patchpu.layers import PatchPyramid


def patch_coverage(pyramid: PatchPyramid, height: int, width: int) -> np.ndarray:
    """Which cells of the finest patch grid each patch covers.

    A cell is one patch of level 0; a patch of level r covers 2^r by 2^r of them, where the level
    has not left over pixels at its right or bottom.

    Args:
        pyramid: cuts the image into M patches, `h * w` of them at level 0.
        height: of the image in pixels.
        width: of the image in pixels.

    Returns:
        float32 `(M, h, w)` of 0 and 1: whether the patch covers the middle of the cell.
    """
    rows, columns = pyramid.grids(height, width)[0]
    middles_y = (np.arange(rows) + 0.5) * pyramid.patch_size
    middles_x = (np.arange(columns) + 0.5) * pyramid.patch_size
    top, left, bottom, right = pyramid.boxes(height, width).T[:, :, None]
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

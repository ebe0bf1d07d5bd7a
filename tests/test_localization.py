"""Attention planted on known patches is found at their places."""

import numpy as np
import pytest

from keras_patchpu.layers import PatchPyramid
from keras_patchpu.localization import attention_maps, patch_coverage


def test_each_level_covers_twice_the_cells_a_side():
    pyramid = PatchPyramid(patch_size=8, num_levels=3)
    coverage = patch_coverage(pyramid.grids(32, 32), pyramid.boxes(32, 32))
    assert coverage.shape == (16 + 4 + 1, 4, 4)
    assert coverage.sum(axis=(1, 2)).tolist() == [1] * 16 + [4] * 4 + [16]
    # Patch 16 + 1 is the upper right one of level 1.
    np.testing.assert_array_equal(coverage[17], np.kron([[0, 1], [0, 0]], np.ones((2, 2))))


def test_what_a_level_leaves_over_is_not_covered():
    # 40 pixels: 5 cells at level 0; 20 pixels: 2 patches that cover 4 of them; the fifth is left.
    pyramid = PatchPyramid(patch_size=8, num_levels=2)
    coverage = patch_coverage(pyramid.grids(40, 40), pyramid.boxes(40, 40))
    assert coverage[25:].sum(axis=0)[4].tolist() == [0] * 5
    assert coverage[25:].sum(axis=0)[:4, :4].min() == 1


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_planted_attention(shape):
    pyramid = PatchPyramid(patch_size=8, num_levels=2)
    coverage = patch_coverage(pyramid.grids(16, 32), pyramid.boxes(16, 32))
    attention = np.zeros((*shape, len(coverage)), "float32")
    attention[..., 6], attention[..., 9] = 0.75, 0.25  # row 1, column 2; the right half
    maps = attention_maps(attention, coverage)
    assert maps.shape == (*shape, 2, 4)
    expected = [[0, 0, 0.25, 0.25], [0, 0, 1, 0.25]]
    np.testing.assert_array_equal(maps, np.broadcast_to(expected, maps.shape))

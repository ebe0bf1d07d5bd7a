"""Attention planted on known patches is found at their places."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_patchpu.layers import PatchPyramid
from keras_patchpu.localization import attention_maps, dense_maps, patch_coverage


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


def test_coverage_of_one_level():
    pyramid = PatchPyramid(patch_size=8, num_levels=3)
    grids, boxes = pyramid.grids(32, 32), pyramid.boxes(32, 32)
    levels = [patch_coverage(grids, boxes, level) for level in range(3)]
    assert [level.sum() for level in levels] == [16, 16, 16]
    assert [np.flatnonzero(level.any(axis=(1, 2))).tolist() for level in levels] == [
        list(range(16)),
        list(range(16, 20)),
        [20],
    ]
    np.testing.assert_array_equal(np.sum(levels, axis=0), patch_coverage(grids, boxes))


def painted(attention, boxes, size):
    """A dense map by a loop: a patch adds its attention to the pixels whose middles it covers."""
    canvas = np.zeros((size, size))
    for value, (top, left, bottom, right) in zip(attention, boxes, strict=True):
        for y in range(size):
            for x in range(size):
                if top <= y + 0.5 < bottom and left <= x + 0.5 < right:
                    canvas[y, x] += value
    return canvas


@hypothesis.given(
    size=st.integers(8, 30),
    patch_size=st.integers(2, 8),
    num_levels=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_dense_maps_are_what_a_loop_paints(size, patch_size, num_levels, seed):
    hypothesis.assume(size // 2 ** (num_levels - 1) >= patch_size)
    pyramid = PatchPyramid(patch_size, num_levels)
    grids, boxes = pyramid.grids(size, size), pyramid.boxes(size, size)
    attention = np.random.default_rng(seed).dirichlet(np.ones(len(boxes)), (2, 1))
    maps = dense_maps(attention, boxes, size)
    assert maps.shape == (2, 1, size, size) and maps.dtype == np.float32
    for row in range(2):
        expected = painted(attention[row, 0], boxes, size)
        np.testing.assert_allclose(maps[row, 0], expected, atol=1e-6)
    # Each level by itself, and all of them together.
    levels = [dense_maps(attention, boxes, size, level, grids) for level in range(num_levels)]
    np.testing.assert_allclose(np.sum(levels, axis=0), maps, atol=1e-6)
    start = 0
    for level, (rows, columns) in enumerate(grids):
        end = start + rows * columns
        expected = painted(attention[0, 0, start:end], boxes[start:end], size)
        np.testing.assert_allclose(levels[level][0, 0], expected, atol=1e-6)
        start = end


def test_where_patches_fill_the_square_cells_and_pixels_agree():
    pyramid = PatchPyramid(patch_size=8, num_levels=2)
    grids, boxes = pyramid.grids(32, 32), pyramid.boxes(32, 32)
    attention = np.random.default_rng(0).dirichlet(np.ones(len(boxes)), 3).astype("float32")
    cells = attention_maps(attention, patch_coverage(grids, boxes))
    np.testing.assert_allclose(
        dense_maps(attention, boxes, 32), np.kron(cells, np.ones((8, 8))), atol=1e-6
    )


def test_what_no_patch_sees_has_nothing():
    pyramid = PatchPyramid(patch_size=8, num_levels=1)
    maps = dense_maps(np.full(4, 0.25), pyramid.boxes(20, 20), 20)
    assert (maps[:16, :16] == 0.25).all() and maps.sum() == 64


@pytest.mark.parametrize("level", [-1, 2])
def test_no_such_level(level):
    pyramid = PatchPyramid(patch_size=8, num_levels=2)
    grids, boxes = pyramid.grids(32, 32), pyramid.boxes(32, 32)
    with pytest.raises(ValueError, match=f"one of the 2 levels.*level={level}"):
        patch_coverage(grids, boxes, level)
    with pytest.raises(ValueError, match=f"one of the 2 levels.*level={level}"):
        dense_maps(np.ones(20), boxes, 32, level, grids)
    with pytest.raises(ValueError, match="needs `grids`"):
        dense_maps(np.ones(20), boxes, 32, level)

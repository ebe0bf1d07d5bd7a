"""Boxes around what stands out of a map."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_patchpu.layers import PatchPyramid
from keras_patchpu.localization import boxes_from_map, dense_maps


def test_two_regions_the_stronger_first():
    attention_map = np.zeros((6, 8))
    attention_map[1:3, 0:2] = 0.5  # 2.0 in all
    attention_map[4, 3:8] = 0.6  # 3.0 in all
    np.testing.assert_array_equal(boxes_from_map(attention_map, 0.5), [[4, 3, 5, 8], [1, 0, 3, 2]])
    np.testing.assert_array_equal(boxes_from_map(attention_map, 0.9), [[4, 3, 5, 8]])


def test_a_corner_does_not_connect():
    attention_map = np.eye(3)
    expected = [[i, i, i + 1, i + 1] for i in range(3)]
    np.testing.assert_array_equal(boxes_from_map(attention_map, 1.0), expected)


@pytest.mark.parametrize(
    "attention_map", [np.zeros((3, 4)), -np.ones((3, 4)), np.zeros((0, 0)), np.array([[1, np.nan]])]
)
def test_nothing_stands_out(attention_map):
    assert boxes_from_map(attention_map, 0.5).shape == (0, 4)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, float("nan")])
def test_a_threshold_outside_its_range(threshold):
    with pytest.raises(ValueError, match=f"threshold={threshold}"):
        boxes_from_map(np.ones((2, 2)), threshold)


@pytest.mark.parametrize("patch", range(21))
def test_a_planted_patch_is_found_where_it_is(patch):
    boxes = PatchPyramid(patch_size=8, num_levels=3).boxes(32, 32)
    attention = np.full(21, 0.2 / 20)
    attention[patch] = 0.8
    found = boxes_from_map(dense_maps(attention, boxes, 32), 0.9)
    np.testing.assert_array_equal(found, [boxes[patch]])


def by_filling(above):
    """The boxes of the connected regions, by walking from pixel to pixel."""
    left, boxes = {tuple(place) for place in np.argwhere(above)}, set()
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            edge += near
        ys, xs = zip(*region, strict=True)
        boxes.add((min(ys), min(xs), max(ys) + 1, max(xs) + 1))
    return boxes


@hypothesis.given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 999), st.floats(0.05, 1))
def test_regions_are_those_of_a_walk(height, width, seed, threshold):
    attention_map = np.random.default_rng(seed).random((height, width))
    boxes = boxes_from_map(attention_map, threshold)
    above = attention_map >= threshold * attention_map.max()
    assert set(map(tuple, boxes.tolist())) == by_filling(above)

"""The pointing game and the energy inside boxes, against counting pixels one by one."""

import collections
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_patchpu.metrics import PairScores, score_pair
from keras_patchpu.metrics.pointing_game import (
    TOLERANCE,
    distance_to_boxes,
    point_of_maximum,
    shares_inside,
)

SIZE = (40, 60)
# 2 x 2 cells of 20 x 30 pixels.
EDGES = (np.array([0, 20, 40]), np.array([0, 30, 60]))
UPPER_RIGHT = np.array([[0.1, 0.6], [0.3, 0.0]])  # points to (10, 45)


# By hand.


@pytest.mark.parametrize(
    ("box", "tolerance", "hit"),
    [
        ((0, 40, 20, 50), 0, 1),  # inside
        ((10, 45, 20, 50), 0, 1),  # on its corner
        ((11, 45, 20, 50), 0, 0),
        ((11, 45, 20, 50), 1, 1),
        ((14, 48, 20, 50), 4.9, 0),  # 4 below and 3 to the right: 5
        ((14, 48, 20, 50), 5, 1),
        ((0, 0, 40, 29), TOLERANCE, 0),  # 16 to the left
        ((0, 0, 40, 30), TOLERANCE, 1),
    ],
)
def test_a_hit_is_a_point_within_the_tolerance(box, tolerance, hit):
    assert score_pair(UPPER_RIGHT, EDGES, SIZE, np.array([box]), tolerance).hit == hit


def test_any_box_of_the_label_will_do():
    boxes = np.array([(0, 0, 5, 5), (5, 40, 15, 50), (30, 30, 40, 40)])
    assert score_pair(UPPER_RIGHT, EDGES, SIZE, boxes, 0).hit == 1
    assert score_pair(UPPER_RIGHT, EDGES, SIZE, boxes[::2], 0).hit == 0


def test_all_scores_of_a_pair():
    # Half of the upper right cell, and a quarter of the lower right one.
    boxes = np.array([(0, 30, 20, 45), (20, 45, 30, 60)])
    scores = score_pair(UPPER_RIGHT, EDGES, SIZE, boxes, 0)
    energy = (0.6 / 2 + 0.0 / 4) / 1.0
    assert scores == pytest.approx(PairScores(1, 1, 450 / 2400, energy, 450 / 2400))


def test_overlapping_boxes_count_once():
    boxes = np.array([(0, 0, 20, 30), (10, 0, 30, 30), (0, 0, 20, 30)])
    energy, area = shares_inside(UPPER_RIGHT, EDGES, SIZE, boxes)
    assert (energy, area) == pytest.approx((0.1 + 0.3 / 2, 900 / 2400))


def test_the_random_baseline_within_a_distance():
    # A box of one pixel: of the pixels around it 8 have their middles within 1 of its edges.
    scores = score_pair(UPPER_RIGHT, EDGES, SIZE, np.array([(20, 20, 21, 21)]), 1)
    assert scores.random_hit == 9 / 2400
    # Up to 2: the 5 x 5 around it but for the corners, which are 1.5 * sqrt(2) away.
    scores = score_pair(UPPER_RIGHT, EDGES, SIZE, np.array([(20, 20, 21, 21)]), 2)
    assert scores.random_hit == 21 / 2400


def test_the_centre_baseline():
    box = np.array([(0, 0, 17, 26)])  # 3 and 4 from the middle (20, 30)
    assert score_pair(UPPER_RIGHT, EDGES, SIZE, box, 5).centre_hit == 1
    assert score_pair(UPPER_RIGHT, EDGES, SIZE, box, 4.9).centre_hit == 0


@pytest.mark.parametrize(
    ("label_map", "point"),
    [
        ([[0, 0, 0], [0, 0, 1]], (15, 25)),
        ([[1, 1, 0], [1, 1, 0]], (10, 10)),  # four cells of a coarse patch
        ([[1, 1 - 1e-7, 0], [1 + 1e-7, 1, 0]], (10, 10)),  # summed in another order
        ([[0, 1, 1], [0, 0, 0]], (5, 20)),
        ([[1, 0, 1], [0, 0, 1]], (10, 25)),  # the larger of two regions
        ([[1, 0, 1], [0, 0, 0]], (5, 5)),  # the first of two
        ([[1, 0, 0], [0, 1, 0]], (5, 5)),  # a corner does not connect
        ([[0, 0, 0], [0, 0, 0]], (10, 15)),
        ([[-3, -2, -3], [-1, -3, -4]], (15, 5)),
        ([[1, 1, 1], [1, 0, 1]], (9, 15)),
    ],
)
def test_where_a_map_points(label_map, point):
    edges = (np.array([0, 10, 20]), np.array([0, 10, 20, 30]))
    assert point_of_maximum(np.array(label_map, "float32"), edges, (20, 30)) == point


def test_a_ring_is_pointed_at_where_it_is():
    edges = (np.array([0, 10, 20, 30]), np.array([0, 8, 22, 30]))
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    assert point_of_maximum(ring, edges, (30, 30)) == (5, 15)


def test_padding_is_cut_off():
    # A picture of 20 x 60 in a square of 3 x 3 cells: the middle row.
    edges = (np.array([-20.0, 0, 20, 40]), np.array([0.0, 20, 40, 60]))
    label_map = np.array([[9, 0, 0], [0, 2, 1], [0, 0, 9]])
    assert point_of_maximum(label_map, edges, (20, 60)) == (10, 30)
    boxes = np.array([(0, 40, 20, 60)])
    assert shares_inside(label_map, edges, (20, 60), boxes) == pytest.approx((1 / 3, 1 / 3))
    # Of a cell that is in the picture by a part, the middle of that part is meant.
    edges = (np.array([-10.0, 10, 30]), np.array([0.0, 30, 60]))
    assert point_of_maximum(UPPER_RIGHT, edges, (20, 60)) == (5, 45)


def test_what_the_cells_leave_out_is_zero():
    # 64 of 80 pixels a side are covered by patches.
    edges = (np.array([0, 32, 64]), np.array([0, 32, 64]))
    boxes = np.array([(32, 32, 80, 80)])
    energy, area = shares_inside(np.ones((2, 2)), edges, (80, 80), boxes)
    assert (energy, area) == pytest.approx((1 / 4, 48**2 / 80**2))
    assert point_of_maximum(np.ones((2, 2)), edges, (80, 80)) == (32, 32)


def test_values_below_zero_have_no_energy():
    label_map = np.array([[-5.0, 2], [1, 1]])
    boxes = np.array([(0, 0, 40, 30)])
    assert shares_inside(label_map, EDGES, SIZE, boxes)[0] == pytest.approx(1 / 4)


@pytest.mark.parametrize("value", [0, -1])
def test_a_map_without_energy_counts_as_flat(value):
    boxes = np.array([(0, 0, 10, 10)])
    energy, area = shares_inside(np.full((2, 2), value), EDGES, SIZE, boxes)
    assert energy == area == pytest.approx(100 / 2400)


def test_distances_by_hand():
    boxes = np.array([(0, 0, 2, 2), (10, 10, 12, 12)])
    y, x = np.array([1, 5, 13, 11]), np.array([1, 6, 9, 11])
    np.testing.assert_allclose(distance_to_boxes(y, x, boxes), [0, 5, math.sqrt(2), 0])


# Pixel by pixel.


@st.composite
def pairs(draw):
    """A map on cells of whole pixels, which may lie outside of the picture or leave some of it."""
    size = draw(st.tuples(st.integers(3, 14), st.integers(3, 14)))
    edges = []
    for end in size:
        ends = draw(st.sets(st.integers(-3, end + 3), min_size=2, max_size=5))
        assume(max(min(ends), 0) < min(max(ends), end))
        edges.append(np.array(sorted(ends)))
    shape = len(edges[0]) - 1, len(edges[1]) - 1
    values = st.integers(-1, 3)  # few, so that they tie
    label_map = np.array([[draw(values) for _ in range(shape[1])] for _ in range(shape[0])])
    boxes = []
    for _ in range(draw(st.integers(1, 3))):
        top, left = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        bottom, right = draw(st.integers(top + 1, size[0])), draw(st.integers(left + 1, size[1]))
        boxes.append((top, left, bottom, right))
    return label_map.astype("float32"), edges, size, np.array(boxes)


def pixels_of(size):
    return itertools.product(range(size[0]), range(size[1]))


def value_at(label_map, edges, pixel):
    """The map at a pixel, None where no cell is."""
    places = []
    for ends, position in zip(edges, pixel, strict=True):
        inside = [i for i in range(len(ends) - 1) if ends[i] <= position < ends[i + 1]]
        if not inside:
            return None
        places.append(inside[0])
    return float(label_map[tuple(places)])


def is_inside(pixel, boxes):
    return any(t <= pixel[0] < b and le <= pixel[1] < r for t, le, b, r in boxes)


def distance(y, x, boxes):
    return min(
        math.hypot(y - min(max(y, top), bottom), x - min(max(x, left), right))
        for top, left, bottom, right in boxes
    )


def largest_region(pixels):
    """By flooding; the first of equally large ones."""
    left, regions = dict.fromkeys(pixels), []
    while left:
        queue, region = collections.deque([next(iter(left))]), []
        left.pop(queue[0])
        while queue:
            y, x = queue.popleft()
            region.append((y, x))
            for neighbour in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if neighbour in left:
                    left.pop(neighbour)
                    queue.append(neighbour)
        regions.append(region)
    return max(regions, key=len)


@given(pairs())
def test_shares_by_counting_pixels(pair):
    label_map, edges, size, boxes = pair
    total = inside = count = 0
    for pixel in pixels_of(size):
        value = max(value_at(label_map, edges, pixel) or 0, 0)
        total += value
        if is_inside(pixel, boxes):
            inside, count = inside + value, count + 1
    area = count / (size[0] * size[1])
    expected = (inside / total if total else area, area)
    assert shares_inside(label_map, edges, size, boxes) == pytest.approx(expected)


@given(pairs())
def test_the_point_by_flooding_pixels(pair):
    label_map, edges, size, boxes = pair
    values = {pixel: value_at(label_map, edges, pixel) for pixel in pixels_of(size)}
    maximum = max(value for value in values.values() if value is not None)
    region = largest_region([pixel for pixel, value in values.items() if value == maximum])
    y, x = (sum(c) / len(region) + 0.5 for c in zip(*region, strict=True))
    # A little off it in each direction, for it may lie on an edge between two pixels.
    around = {
        (math.floor(y + dy), math.floor(x + dx)) for dy in (-1e-9, 1e-9) for dx in (-1e-9, 1e-9)
    }
    point = point_of_maximum(label_map, edges, size)
    if around <= set(region):
        assert point == pytest.approx((y, x))
    else:
        assert values[tuple(math.floor(c) for c in point)] == maximum


@given(pairs(), st.sampled_from([0, 0.7, 1, 2.3, 6, 15]))
def test_baselines_by_counting_pixels(pair, tolerance):
    label_map, edges, size, boxes = pair
    scores = score_pair(label_map, edges, size, boxes, tolerance)
    hits = sum(distance(y + 0.5, x + 0.5, boxes) <= tolerance for y, x in pixels_of(size))
    assert scores.random_hit == pytest.approx(hits / (size[0] * size[1]))
    centre = distance(size[0] / 2, size[1] / 2, boxes)
    assert scores.centre_hit == (centre <= tolerance)
    point = distance(*point_of_maximum(label_map, edges, size), boxes)
    if abs(point - tolerance) > 1e-9:
        assert scores.hit == (point < tolerance)
    if tolerance == 0:
        assert scores.random_hit == pytest.approx(scores.area)


@given(pairs())
def test_a_perfect_map_is_worth_everything(pair):
    _, _, size, boxes = pair
    perfect = np.zeros(size)
    for top, left, bottom, right in boxes:
        perfect[top:bottom, left:right] = 1
    edges = np.arange(size[0] + 1), np.arange(size[1] + 1)
    scores = score_pair(perfect, edges, size, boxes, 0)
    assert scores.hit == 1 and scores.energy == pytest.approx(1)


@given(pairs(), st.floats(0.01, 100))
def test_a_flat_map_is_worth_the_area(pair, value):
    _, _, size, boxes = pair
    # Of numbers that are exact, since a box may begin in the middle.
    edges = np.array([0, size[0] / 4, size[0]]), np.array([0, size[1] / 2, size[1]])
    scores = score_pair(np.full((2, 2), value, "float32"), edges, size, boxes, 0)
    assert scores.energy == pytest.approx(scores.area)
    assert scores.hit == scores.centre_hit


@given(pairs(), st.lists(st.floats(0, 20), min_size=2, max_size=4))
def test_a_wider_tolerance_loses_nothing(pair, tolerances):
    scores = [score_pair(*pair, tolerance) for tolerance in sorted(tolerances)]
    for smaller, larger in itertools.pairwise(scores):
        assert smaller.hit <= larger.hit
        assert smaller.centre_hit <= larger.centre_hit
        assert smaller.random_hit <= larger.random_hit
        assert (smaller.energy, smaller.area) == (larger.energy, larger.area)


@given(pairs(), st.integers(2, 5))
def test_the_scale_of_map_and_picture_does_not_matter(pair, factor):
    label_map, edges, size, boxes = pair
    before = score_pair(label_map, edges, size, boxes, 0)
    larger = [ends * factor for ends in edges], [end * factor for end in size], boxes * factor
    after = score_pair(label_map * 8, *larger, 0)
    assert after[3:] == pytest.approx(before[3:])
    assert after.centre_hit == before.centre_hit
    y, x = point_of_maximum(label_map, edges, size)
    assert point_of_maximum(label_map * 8, *larger[:2]) == pytest.approx((y * factor, x * factor))

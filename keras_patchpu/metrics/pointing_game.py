"""Whether the map of a label points at the label's objects, and how much of it lies on them.

A map is `(h, w)` values, each of which holds throughout a cell, a rectangle of the picture. The
cells are given by their edges `(rows, columns)`: h + 1 heights and w + 1 widths, ascending, in
pixels of the original picture. What lies outside of the picture is cut off, as the padding of
`resize="pad"` is; where the cells leave a part of the picture out, the map is 0. Boxes are `(n, 4)`
of `ymin, xmin, ymax, xmax`, in the same pixels. A pixel is a square with sides of 1, so that the
picture of height H and width W goes from 0 to H and from 0 to W.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Pixels of the original picture, as Zhang et al. (2018, "Top-Down Neural Attention by Excitation
# Backprop") have it for VOC and COCO, and TorchRay after them. Here it reaches from a box's edge,
# there it has to be less between the middles of pixels: half a pixel more is a hit here.
TOLERANCE = 15.0
# Cells are tied up to the rounding of float32: one patch covers several, and sums may be rounded
# differently in each.
_TIE = 1e-6


class PairScores(NamedTuple):
    """How a map does on one label of one picture, and how guesses do; all in [0, 1].

    Attributes:
        hit: 1 if the map points at a box of the label, else 0.
        centre_hit: the same of the picture's middle.
        random_hit: the chance that a pixel drawn at random does: an expectation, nothing is drawn.
        energy: the share of the map's sum that lies inside the boxes.
        area: the share of the picture that does. It is the energy of a flat map, and what energy is
            to be compared with: the middle of the picture is no map and has none.
    """

    hit: float
    centre_hit: float
    random_hit: float
    energy: float
    area: float


def score_pair(
    label_map: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray],
    size: tuple[int, int],
    boxes: np.ndarray,
    tolerance: float = TOLERANCE,
) -> PairScores:
    """Scores the map of one label that is in the picture, beside the picture's middle and chance.

    Args:
        label_map: `(h, w)`, finite.
        edges: of its cells.
        size: `(H, W)` of the picture.
        boxes: `(n, 4)`, all boxes of the label, n at least 1.
        tolerance: how far from a box a hit may be, in pixels; 0 asks for a point inside.
    """
    height, width = size
    points = np.array([point_of_maximum(label_map, edges, size), (height / 2, width / 2)])
    hit, centre_hit = distance_to_boxes(*points.T, boxes) <= tolerance
    energy, area = shares_inside(label_map, edges, size, boxes)
    # Of pixels, since the rounded outlines around boxes have no simple union.
    middles = np.ix_(np.arange(height) + 0.5, np.arange(width) + 0.5)
    random_hit = np.mean(distance_to_boxes(*middles, boxes) <= tolerance)
    return PairScores(float(hit), float(centre_hit), float(random_hit), energy, area)


def point_of_maximum(
    label_map: np.ndarray, edges: tuple[np.ndarray, np.ndarray], size: tuple[int, int]
) -> tuple[float, float]:
    """Where a map points: `y, x` in pixels.

    The value of a cell holds in all of it, so that no pixel of it is more of a maximum than
    another, and its middle is meant. Where several cells share the maximum, as those of a patch of
    a coarse level may, it is the centre of gravity of the largest connected region of them (the
    first, in reading order, of equally large ones); should that lie beside the region, as of a
    ring, the middle of the region's cell next to it. A flat map points to the picture's middle.

    Args:
        label_map: `(h, w)`, finite.
        edges: of its cells.
        size: `(H, W)` of the picture.
    """
    rows, columns = (np.clip(ends, 0, end) for ends, end in zip(edges, size, strict=True))
    areas = np.outer(np.diff(rows), np.diff(columns))
    maximum = label_map[areas > 0].max()
    tied = (areas > 0) & (label_map >= maximum - _TIE * abs(maximum))
    regions, count = ndimage.label(tied)
    region_areas = ndimage.sum_labels(areas, regions, np.arange(1, count + 1))
    region = regions == 1 + np.argmax(region_areas)
    weights = np.where(region, areas, 0)
    middles_y, middles_x = (rows[1:] + rows[:-1]) / 2, (columns[1:] + columns[:-1]) / 2
    y = weights.sum(axis=1) @ middles_y / weights.sum()
    x = weights.sum(axis=0) @ middles_x / weights.sum()
    cell = np.searchsorted(rows, y, "right") - 1, np.searchsorted(columns, x, "right") - 1
    if not region[cell]:
        squares = (middles_y[:, None] - y) ** 2 + (middles_x - x) ** 2
        row, column = divmod(np.argmin(np.where(region, squares, np.inf)), len(middles_x))
        y, x = middles_y[row], middles_x[column]
    return float(y), float(x)


def distance_to_boxes(y: np.ndarray, x: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """From points to the nearest of some boxes, 0 inside of one.

    Args:
        y, x: of shapes that broadcast to that of the result.
        boxes: `(n, 4)`, n at least 1.
    """
    squares = np.inf
    for ymin, xmin, ymax, xmax in boxes:
        down = np.maximum(np.maximum(ymin - y, y - ymax), 0)
        right = np.maximum(np.maximum(xmin - x, x - xmax), 0)
        squares = np.minimum(squares, down**2 + right**2)
    return np.sqrt(squares)


def shares_inside(
    label_map: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray],
    size: tuple[int, int],
    boxes: np.ndarray,
) -> tuple[float, float]:
    """Of a map's sum over the picture, and of its area, the share inside the union of the boxes.

    Exact: the edges of cells and boxes cut the picture into rectangles, each of one value and
    inside or outside. Values below 0, which a class activation map may have, count as 0. A map
    that is 0 throughout says nothing of the place and has the energy of a flat one.

    Args:
        label_map: `(h, w)`, finite.
        edges: of its cells.
        size: `(H, W)` of the picture.
        boxes: `(n, 4)`.

    Returns:
        energy, area.
    """
    cuts, cells, inside = [], [], []
    for axis, (ends, end) in enumerate(zip(edges, size, strict=True)):
        first, last = boxes[:, axis], boxes[:, axis + 2]
        axis_cuts = np.unique(np.clip(np.concatenate([ends, first, last, [0, end]]), 0, end))
        middles = (axis_cuts[1:] + axis_cuts[:-1]) / 2
        cuts.append(axis_cuts)
        cells.append(np.searchsorted(ends, middles))  # 0 and h + 1 are outside of all cells
        inside.append((first[:, None] < middles) & (middles < last[:, None]))
    areas = np.outer(np.diff(cuts[0]), np.diff(cuts[1]))
    in_boxes = (inside[0][:, :, None] & inside[1][:, None, :]).any(axis=0)
    values = np.pad(np.maximum(label_map, 0).astype("float64"), 1)[np.ix_(*cells)]
    area = areas[in_boxes].sum() / areas.sum()
    energy = (values * areas)[in_boxes].sum() / (values * areas).sum() if values.any() else area
    return float(energy), float(area)

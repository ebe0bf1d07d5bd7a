"""From a map to boxes."""

import numpy as np
from scipy import ndimage


def boxes_from_map(attention_map: np.ndarray, threshold: float) -> np.ndarray:
    """A box around each connected region of strong values.

    Pixels that touch with a side are connected, with a corner they are not.

    Args:
        attention_map: `(height, width)`.
        threshold: above 0, up to 1: the part of the map's largest value that a pixel has to reach.

    Returns:
        int64 `(num_boxes, 4)` of `ymin, xmin, ymax, xmax` in pixels, `ymax` and `xmax` the first
        ones outside; the region with the largest sum first, and of equal ones the first from above.
        None where no value is above 0, or one is NaN.

    Raises:
        ValueError: `threshold` is not within 0 and 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(
            "Invalid value for argument `threshold`. Expected a number above 0, up to 1. "
            f"Received: threshold={threshold}"
        )
    attention_map = np.asarray(attention_map, "float64")
    strongest = attention_map.max(initial=0.0)
    if not strongest > 0:  # NaN, too
        return np.zeros((0, 4), "int64")
    regions, num_regions = ndimage.label(attention_map >= threshold * strongest)
    sums = ndimage.sum_labels(attention_map, regions, np.arange(1, num_regions + 1))
    boxes = [
        (rows.start, columns.start, rows.stop, columns.stop)
        for rows, columns in ndimage.find_objects(regions)
    ]
    return np.array(boxes, "int64")[np.argsort(-sums, kind="stable")]

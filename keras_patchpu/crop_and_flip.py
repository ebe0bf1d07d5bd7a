"""Boxes and maps of an image put through its crop and flip, and back.

The crop is a box `ymin, xmin, ymax, xmax` in fractions of the image; it is resized to the whole
view, then the view is mirrored left to right where the flip is true.
"""

import numpy as np
from keras import ops


def transform_boxes(boxes: np.ndarray, crop: np.ndarray, flip: bool) -> np.ndarray:
    """Moves boxes of one image to where its crop and flip put them.

    Args:
        boxes: `(num_boxes, 4)` of `ymin, xmin, ymax, xmax`, fractions of the image.
        crop: `(4,)`.
        flip: whether the view is mirrored.

    Returns:
        float32 `(num_boxes, 4)`, fractions of the view, cut at its border: a box outside has no
        area.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 2, 2)
    low, high = np.asarray(crop, np.float64).reshape(2, 2)
    boxes = np.clip((boxes - low) / (high - low), 0, 1).reshape(-1, 4)
    if flip:
        boxes = boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1] + [0, 1, 0, 1]
    return boxes.astype(np.float32)


def transform_maps(maps, crop, flip, height: int, width: int):
    """Maps of whole images as their views see them: T, with the resize, in Verelst et al. (2023).

    Bilinear at the middles of the cells, as `tf.image.resize` samples a picture's crop.

    Args:
        maps: `(B, L, h, w)` of the images.
        crop: `(B, 4)` of ymin, xmin, ymax, xmax, fractions of the image.
        flip: `(B,)`, bool or 0 and 1.
        height, width: h' and w' of the result.

    Returns:
        `(B, L, h', w')`.
    """
    ymin, xmin, ymax, xmax = ops.split(ops.cast(crop, maps.dtype), 4, axis=1)
    y = ymin + _middles(height, maps.dtype) * (ymax - ymin)
    x = xmin + _mirrored(_middles(width, maps.dtype), flip) * (xmax - xmin)
    return _sample(maps, y, x)


def restore_maps(views, crop, flip, height: int, width: int):
    """Maps of views put back into the frame of the whole images, the inverse of `transform_maps`.

    Args:
        views: `(B, L, h', w')` of the views.
        crop, flip: see `transform_maps`.
        height, width: h and w of the result.

    Returns:
        maps `(B, L, h, w)`, and covered, bool `(B, 1, h, w)`: whether the view shows the middle of
        a cell. Where it does not, the map repeats the view's border.
    """
    ymin, xmin, ymax, xmax = ops.split(ops.cast(crop, views.dtype), 4, axis=1)
    y = (_middles(height, views.dtype) - ymin) / (ymax - ymin)
    x = (_middles(width, views.dtype) - xmin) / (xmax - xmin)
    rows, columns = (y >= 0) & (y < 1), (x >= 0) & (x < 1)
    covered = rows[:, None, :, None] & columns[:, None, None, :]
    return _sample(views, y, _mirrored(x, flip)), covered


def _middles(count, dtype):
    """Of `count` cells side by side, as fractions: `(1, count)`."""
    return (ops.arange(count, dtype=dtype)[None] + 0.5) / count


def _mirrored(x, flip):
    """`1 - x` `(B, n)` where `flip` `(B,)` is true, of `x` `(B, n)` or `(1, n)`."""
    return ops.where(ops.cast(flip, "bool")[:, None], 1 - x, x)


def _sample(maps, y, x):
    """`maps` `(B, L, h, w)` at the fractions `y` `(B, h')` and `x` `(B, w')`: `(B, L, h', w')`."""
    rows, columns = _weights(y, maps.shape[2]), _weights(x, maps.shape[3])
    return ops.einsum("byh,blhw,bxw->blyx", rows, maps, columns)


def _weights(fractions, count):
    """How much each of `count` cells counts in a bilinear sample: `(B, n)` -> `(B, n, count)`.

    Beyond the middles of the outermost cells these go on: the weights of a sample sum to 1.
    """
    cells = ops.arange(count, dtype=fractions.dtype)
    places = ops.clip(fractions * count - 0.5, 0, count - 1)
    return ops.relu(1 - ops.abs(places[..., None] - cells))

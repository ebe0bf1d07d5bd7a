"""From maps of the model's square to maps of the picture that was made a square."""

import numpy as np

from keras_patchpu.data import resize_boxes


def picture_part(maps: np.ndarray, height: int, width: int, resize: str = "stretch") -> np.ndarray:
    """The part of the square that holds the picture, without the black that pads it.

    Args:
        maps: `(..., S, S)`, one value a pixel of the square.
        height: of the original picture, in pixels.
        width: of the original picture.
        resize: how it became a square, `"stretch"` or `"pad"`; see `data.decode_and_resize`.

    Returns:
        A view `(..., h, w)`, at least 1 by 1 and `(..., S, S)` for `"stretch"`: the whole picture
        at the size that it has in the square.

    Raises:
        ValueError: unknown `resize`.
    """
    top, left, bottom, right = place_in_square(height, width, maps.shape[-1], resize)
    return maps[..., top:bottom, left:right]


def maps_in_picture(
    maps: np.ndarray,
    height: int,
    width: int,
    resize: str = "stretch",
    image_size: int | None = None,
) -> np.ndarray:
    """Maps at the size of the original picture: each pixel takes the value where it is seen.

    Args:
        maps: `(..., h, w)` that cover the square, in pixels as of `dense_maps`, or in cells.
        height: of the original picture, in pixels.
        width: of the original picture.
        resize: how it became a square, `"stretch"` or `"pad"`; see `data.decode_and_resize`.
        image_size: S, for maps of cells; by default one value is one pixel of the square.

    Returns:
        `(..., height, width)`, the values as they are.

    Raises:
        ValueError: unknown `resize`.
    """
    rows, columns = maps.shape[-2:]
    size = image_size or rows
    top, left, bottom, right = place_in_square(height, width, size, resize)
    y = _seen_at(height, top, bottom, rows, size)
    x = _seen_at(width, left, right, columns, size)
    return maps[..., y[:, None], x]


def place_in_square(height: int, width: int, size: int, resize: str) -> list[int]:
    """Where `decode_and_resize` puts the whole picture: its `ymin, xmin, ymax, xmax`.

    Whole pixels of the square, whose side is `size`.
    """
    (box,) = resize_boxes(np.array([[0.0, 0.0, 1.0, 1.0]]), height, width, size, resize)
    return np.round(size * box).astype(int).tolist()


def _seen_at(length, start, end, cells, size):
    """For each of `length` pixels the cell that its middle lies in, in integers throughout."""
    middles = 2 * length * start + (2 * np.arange(length) + 1) * (end - start)
    return middles * cells // (2 * length * size)

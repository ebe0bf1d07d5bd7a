"""From an encoded picture to a square of bytes, and where the boxes go."""

import numpy as np
import tensorflow as tf

from keras_patchpu.data.picture_size import MAX_PIXELS, num_pixels

RESIZE_MODES = ("stretch", "pad")


def decode(encoded) -> tf.Tensor:
    """Decodes one picture, see `decode_and_resize`, and leaves its size.

    Returns:
        uint8 `(height, width, 3)`.
    """
    pixels = num_pixels(encoded)
    # Nothing is no picture, which TensorFlow says before it reserves memory for one.
    encoded = tf.where((pixels > 0) & (pixels <= MAX_PIXELS), encoded, "")
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def decode_and_resize(encoded, size: int, resize: str = "stretch") -> tf.Tensor:
    """Decodes one picture and resizes it to a square.

    Reads JPEG, PNG, GIF (first frame) and BMP of at most `MAX_PIXELS`. Grey, CMYK, palette, 16-bit
    and transparent pictures all become RGB: of 16 bits the upper 8 are kept, an alpha channel is
    dropped. Only the palette of a BMP is not looked at. EXIF orientation is ignored, as VOC's boxes
    ignore it.

    Core ops only and no Python branch on a tensor, so that it runs eagerly, in `tf.data`, in
    `tf.map_fn` and in an exported graph.

    1. decode                                    `(height, width, 3)` uint8
    2. bilinear resize, antialiased              `(scaled_height, scaled_width, 3)` float32
    3. pad with black, round to nearest          `(size, size, 3)` uint8

    Args:
        encoded: string tensor `()`, the bytes of the picture.
        size: height and width of the result, in pixels.
        resize: `"stretch"` scales height and width independently; `"pad"` keeps the aspect: the
            longest side becomes `size` and the picture is centred on black.

    Returns:
        uint8 `(size, size, 3)`.

    Raises:
        ValueError: unknown `resize`.
        tf.errors.InvalidArgumentError: when run, on bytes that are not a whole picture, or claim
            more pixels.
    """
    image = decode(encoded)
    shape = tf.cast(tf.shape(image), tf.int64)
    scaled = _scaled_size(shape[0], shape[1], size, resize, tf.maximum)
    image = tf.image.resize(image, tf.cast(tf.stack(scaled), tf.int32), antialias=True)
    top, left = ((size - side) // 2 for side in scaled)
    bottom, right = size - scaled[0] - top, size - scaled[1] - left
    image = tf.pad(image, [[top, bottom], [left, right], [0, 0]])
    image.set_shape((size, size, 3))
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)


def resize_boxes(
    boxes: np.ndarray, height: int, width: int, size: int, resize: str = "stretch"
) -> np.ndarray:
    """Moves boxes to where `decode_and_resize` puts them.

    Args:
        boxes: `(num_boxes, 4)` of `ymin, xmin, ymax, xmax`, fractions of the original picture.
        height: height of the original picture in pixels.
        width: width of the original picture in pixels.
        size: height and width of the square, in pixels.
        resize: `"stretch"` or `"pad"`, as for `decode_and_resize`.

    Returns:
        float32 `(num_boxes, 4)`, fractions of the square.

    Raises:
        ValueError: unknown `resize`.
    """
    scaled_height, scaled_width = _scaled_size(int(height), int(width), size, resize, max)
    top, left = (size - scaled_height) // 2, (size - scaled_width) // 2
    scale = np.array([scaled_height, scaled_width] * 2) / size
    offset = np.array([top, left] * 2) / size
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return (boxes * scale + offset).astype(np.float32)


def _scaled_size(height, width, size, resize, maximum):
    """Height and width of the picture inside the square, alike for integers and for tensors."""
    if resize == "stretch":
        # Adding zero times the height makes a tensor of `size` where the height is a tensor.
        return size + 0 * height, size + 0 * width
    if resize == "pad":
        longest = maximum(height, width)
        # Rounded in integers: floats could round differently in the graph and in NumPy.
        return tuple(
            maximum((2 * side * size + longest) // (2 * longest), 1) for side in (height, width)
        )
    raise ValueError(
        f"Invalid value for argument `resize`. Expected one of {RESIZE_MODES}. "
        f"Received: resize={resize!r}"
    )

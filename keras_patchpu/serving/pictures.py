"""Pictures from strangers: each is decoded, or told apart, without failing its neighbours."""

import tensorflow as tf

from keras_patchpu.data import decode_and_resize

# 50 million pixels take 150 MB to decode; a file of some kilobytes can claim billions.
MAX_PIXELS = 50_000_000

OK = "ok"
NO_PICTURE = "not a whole JPEG, PNG, GIF or BMP picture"
TOO_LARGE = f"a picture of more than {MAX_PIXELS} pixels"


def decode_pictures(image_bytes, size: int, resize: str):
    """Decodes and resizes each picture by itself.

    TF Serving merges the pictures of many callers into one batch, and an operation that fails
    fails the batch. So each picture is decoded in a dataset of its own, whose errors are ignored,
    followed by a black picture; the first of the two is taken.

    Args:
        image_bytes: strings `(N,)`.
        size, resize: as for `decode_and_resize`.

    Returns:
        uint8 `(N, size, size, 3)`, black where there is no picture, and strings `(N,)`: `OK`,
        `NO_PICTURE` or `TOO_LARGE`.
    """

    def decode(encoded):
        too_large = _num_pixels(encoded) > MAX_PIXELS
        # What is too large is not decoded; nothing is no picture.
        encoded = tf.where(too_large, "", encoded)
        image = tf.data.Dataset.from_tensors(encoded).map(
            lambda whole: (decode_and_resize(whole, size, resize), OK)
        )
        reason = tf.where(too_large, TOO_LARGE, NO_PICTURE)
        black = tf.data.Dataset.from_tensors((tf.zeros((size, size, 3), tf.uint8), reason))
        return image.ignore_errors().concatenate(black).take(1).get_single_element()

    return tf.map_fn(
        decode,
        image_bytes,
        fn_output_signature=(
            tf.TensorSpec((size, size, 3), tf.uint8),
            tf.TensorSpec((), tf.string),
        ),
    )


def _num_pixels(encoded):
    """Height times width by the picture's header, float64; 0 where there is none to read."""

    def integers(start, dtype, little_endian):
        """The two numbers at byte `start`."""
        text = tf.strings.substr(encoded, start, 2 * dtype.size)
        return tf.io.decode_raw(text, dtype, little_endian=little_endian)

    def product(sides):
        return tf.abs(tf.reduce_prod(tf.cast(sides, tf.float64)))

    def jpeg():
        shape = tf.data.Dataset.from_tensors(encoded).map(tf.image.extract_jpeg_shape)
        unreadable = tf.data.Dataset.from_tensors(tf.zeros(3, tf.int32))
        shape = shape.ignore_errors().concatenate(unreadable).take(1).get_single_element()
        return product(shape[:2])

    def starts_with(magic):
        # Shorter than a header: there is no size to read, and `substr` would fail.
        return (tf.strings.length(encoded) > 30) & (
            tf.strings.substr(encoded, 0, len(magic)) == magic
        )

    return tf.case(
        [
            (starts_with(b"\xff\xd8"), jpeg),
            (starts_with(b"\x89PNG"), lambda: product(integers(16, tf.int32, False))),
            (starts_with(b"GIF8"), lambda: product(integers(6, tf.uint16, True))),
            (starts_with(b"BM"), lambda: product(integers(18, tf.int32, True))),
        ],
        default=lambda: tf.zeros((), tf.float64),
    )

"""How large a picture says it is: some kilobytes can claim billions of pixels."""

import tensorflow as tf

# While they are decoded and resized they take less than 1 GB.
MAX_PIXELS = 50_000_000
TOO_LARGE = f"a picture of more than {MAX_PIXELS} pixels"
# Of the square that a model sees, and of the patches in it at the finest resolution.
MAX_SIDE, MAX_PATCHES = 8192, 65_536

# Of a GIF; with the usual 255 bytes each that is 12 MB.
_MAX_PARTS = 50_000
_EXTENSION, _FRAME = 0x21, 0x2C


@tf.function(input_signature=[tf.TensorSpec((), tf.string)])
def num_pixels(encoded):
    """Pixels that decoding would make, by the picture's headers, which is all that is read.

    For a GIF those of all its frames together: TensorFlow keeps all of them to give the first. It
    goes by the frames, so that what the file says of its canvas does not count.

    Args:
        encoded: string `()`, the bytes of the picture.

    Returns:
        float64 `()`; 0 for what is no JPEG, PNG, GIF or BMP, which TensorFlow might read all the
        same (WebP and JPEG XL).

    Raises:
        tf.errors.InvalidArgumentError: when run, on a JPEG whose header cannot be read.
    """

    def integers(start, dtype, little_endian):
        """The two numbers at byte `start`."""
        text = tf.strings.substr(encoded, start, 2 * dtype.size)
        return tf.io.decode_raw(text, dtype, little_endian=little_endian)

    def product(sides):
        return tf.abs(tf.reduce_prod(tf.cast(sides, tf.float64)))

    def starts_with(magic):
        # Shorter than a header: there is no size to read, and `substr` would fail.
        return (tf.strings.length(encoded) > 30) & (
            tf.strings.substr(encoded, 0, len(magic)) == magic
        )

    return tf.case(
        [
            (starts_with(b"\xff\xd8"), lambda: product(tf.image.extract_jpeg_shape(encoded)[:2])),
            (starts_with(b"\x89PNG"), lambda: product(integers(16, tf.int32, False))),
            (starts_with(b"GIF8"), lambda: _pixels_of_frames(encoded)),
            (starts_with(b"BM"), lambda: product(integers(18, tf.int32, True))),
        ],
        default=lambda: tf.zeros((), tf.float64),
    )


def is_too_large(encoded: bytes) -> bool:
    """Whether a picture that cannot be decoded claims more than `MAX_PIXELS`."""
    try:
        return float(num_pixels(tf.constant(encoded))) > MAX_PIXELS
    except tf.errors.OpError:
        return False


def _pixels_of_frames(gif):
    """Walks along the blocks of a GIF (specification of GIF89a, appendix B), float64 `()`."""
    # What is cut off ends with zeros, more than a block can make the walk jump beyond the end.
    content = tf.pad(tf.io.decode_raw(gif, tf.uint8), [[0, 2048]])

    def byte(place):
        return tf.cast(tf.gather(content, place), tf.int32)

    def colour_table(flags):
        """Its bytes."""
        return tf.where(flags >= 0x80, 3 * 2 ** (flags % 8 + 1), 0)

    def frame(place):
        """The pixels of a frame, and where its parts begin."""
        width, height = (byte(place + start) + 256 * byte(place + start + 1) for start in (5, 7))
        pixels = tf.cast(width, tf.float64) * tf.cast(height, tf.float64)
        return pixels, place + 10 + colour_table(byte(place + 9)) + 1

    def extension(place):
        return tf.zeros((), tf.float64), place + 2

    def part(place, length, parts):
        place = place + length + 1
        return place, byte(place), parts + 1

    def block(place, kind, pixels, parts):
        more, place = tf.cond(kind == _FRAME, lambda: frame(place), lambda: extension(place))
        # Each part has its length before it, and an empty one ends them.
        place, _, parts = tf.while_loop(
            lambda place, length, parts: (length > 0) & (parts < _MAX_PARTS),
            part,
            (place, byte(place), parts + 1),
        )
        return place + 1, byte(place + 1), pixels + more, parts

    def goes_on(place, kind, pixels, parts):
        known = (kind == _FRAME) | (kind == _EXTENSION)
        return known & (pixels <= MAX_PIXELS) & (parts < _MAX_PARTS)

    start = 13 + colour_table(byte(10))
    pixels, parts = tf.zeros((), tf.float64), tf.zeros((), tf.int32)
    state = tf.while_loop(goes_on, block, (start, byte(start), pixels, parts))
    # To walk along more parts would take long.
    return tf.where(state[3] < _MAX_PARTS, state[2], tf.constant(float("inf"), tf.float64))

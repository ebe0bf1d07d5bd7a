"""Operations that change the colours of a picture and leave every pixel where it is.

The operations of Pillow's `ImageOps` and `ImageEnhance`, which AutoAugment and RandAugment are
defined by, on uint8 `(S, S, 3)` in RGB. Results are rounded to nearest where Pillow cuts off.
"""

import functools

import numpy as np
import tensorflow as tf

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow's mode L
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # ImageFilter.SMOOTH

# RandAugment of torchvision: 2 operations of magnitude 9 on the scale 0..30.
NUM_OPERATIONS = 2
STRENGTH = 0.27
POSTERIZE_BITS = 7
SOLARIZE_THRESHOLD = 179


def adjust_colour(image: tf.Tensor, brightness=1.0, contrast=1.0, saturation=1.0) -> tf.Tensor:
    """Scales brightness, then the distance from the mean grey, then that from the own grey.

    As `ImageEnhance.Brightness`, `Contrast` and `Color` one after the other, in one step: nothing
    is cut off at 0 or 255 in between. 1 changes nothing, 0 gives black, one grey, greys.

    Args:
        image: uint8 `(S, S, 3)`.
        brightness, contrast, saturation: scalars.

    Returns:
        uint8 `(S, S, 3)`.
    """
    # Whole numbers first: their sum does not depend on the order, which differs between machines.
    sums = tf.cast(tf.reduce_sum(tf.cast(image, tf.int32), axis=0), tf.float64)
    means = tf.cast(tf.reduce_mean(sums, axis=0) / image.shape[0], tf.float32)
    mean_grey = brightness * tf.tensordot(means, GREY, 1)
    to_grey = tf.constant(np.repeat(GREY[:, None], 3, axis=1))
    colours = brightness * contrast * (saturation * tf.eye(3) + (1 - saturation) * to_grey)
    pixels = tf.reshape(tf.cast(image, tf.float32), (-1, 3))
    adjusted = tf.matmul(pixels, colours) + (1 - contrast) * mean_grey
    return _to_bytes(tf.reshape(adjusted, image.shape))


def adjust_sharpness(image: tf.Tensor, factor) -> tf.Tensor:
    """`ImageEnhance.Sharpness`: 1 changes nothing, 0 smooths; pixels at the border stay."""
    own = tf.constant([[0, 0, 0], [0, 1, 0], [0, 0, 0]], tf.float32)
    kernel = tf.tile((factor * own + (1 - factor) * SMOOTH)[:, :, None, None], (1, 1, 3, 1))
    pixels = tf.cast(image, tf.float32)[None]
    inner = _to_bytes(tf.nn.depthwise_conv2d(pixels, kernel, [1, 1, 1, 1], "VALID")[0])
    inner = tf.concat([image[1:-1, :1], inner, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], inner, image[-1:]], axis=0)


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """`ImageOps.autocontrast`: each channel from 0 to 255; one of a single value stays."""
    size, _, channels = image.shape
    # Rows of all channels: operations on long rows are several times faster than on threes.
    rows = tf.reshape(image, (size, size * channels))

    def extreme(reduce):
        return tf.cast(reduce(tf.reshape(reduce(rows, 0), (size, channels)), 0), tf.float32)

    low, high = extreme(tf.reduce_min), extreme(tf.reduce_max)
    varies = high > low
    scale = tf.where(varies, 255 / tf.where(varies, high - low, 1), 1)
    low = tf.where(varies, low, 0)
    rows = (tf.cast(rows, tf.float32) - tf.tile(low, [size])) * tf.tile(scale, [size])
    return tf.reshape(_to_bytes(rows), image.shape)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """`ImageOps.equalize`: each channel with about as many pixels of every value."""
    channels = [_equalize_channel(channel) for channel in tf.unstack(image, axis=-1)]
    return tf.stack(channels, axis=-1)


def _equalize_channel(channel):
    values = tf.reshape(tf.cast(channel, tf.int32), [-1])
    counts = tf.math.bincount(values, minlength=256, maxlength=256)
    step = (tf.size(values) - counts[tf.reduce_max(values)]) // 255
    below = tf.cumsum(counts, exclusive=True)
    table = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    # Few pixels beside those of the highest value: the channel stays.
    table = tf.cast(tf.where(step > 0, table, tf.range(256)), tf.uint8)
    return tf.reshape(tf.gather(table, values), channel.shape)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """`ImageOps.posterize`: keeps the upper `bits` of each value."""
    return tf.bitwise.bitwise_and(image, tf.constant(256 - 2 ** (8 - bits), tf.uint8))


def solarize(image: tf.Tensor, threshold: int) -> tf.Tensor:
    """`ImageOps.solarize`: inverts the values from `threshold` on."""
    return tf.bitwise.bitwise_xor(image, 255 * tf.cast(image >= threshold, tf.uint8))


def rand_augment(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The photometric part of RandAugment (Cubuk et al., 2020), as torchvision sets it.

    `NUM_OPERATIONS` of the nine, drawn with replacement. Shear, translation and rotation are left
    out: the picture's crop and flip would no longer say where its pixels come from.

    Args:
        image: uint8 `(S, S, 3)`.
        seed: int `(2,)`, of all draws.

    Returns:
        uint8 `(S, S, 3)`.
    """
    num_choices = len(_operations(image, 1.0))
    draws = tf.random.stateless_uniform(
        (NUM_OPERATIONS,), seed, maxval=2 * num_choices, dtype=tf.int32
    )
    for draw in tf.unstack(draws):
        factor = 1 + STRENGTH * tf.cast(2 * (draw % 2) - 1, tf.float32)
        changed = tf.switch_case(draw // 2, _operations(image, factor))
        image = tf.ensure_shape(changed, image.shape)
    return image


def _operations(image, factor):
    return [
        functools.partial(tf.identity, image),
        functools.partial(autocontrast, image),
        functools.partial(equalize, image),
        functools.partial(posterize, image, POSTERIZE_BITS),
        functools.partial(solarize, image, SOLARIZE_THRESHOLD),
        functools.partial(adjust_colour, image, brightness=factor),
        functools.partial(adjust_colour, image, contrast=factor),
        functools.partial(adjust_colour, image, saturation=factor),
        functools.partial(adjust_sharpness, image, factor),
    ]


def _to_bytes(values):
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)

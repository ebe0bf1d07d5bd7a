"""Random changes of training pictures, the same for the same seed, epoch and image.

Own draws and operations rather than Keras's layers. `keras.layers.RandAugment` and `CutMix` draw
from a counter that parallel calls race for and that is saved nowhere: measured with Keras 3.15,
two runs of one seed with a parallel `map` differ in 32 to 64 of 64 pictures, and every picture
(CutMix: 30 of 32) differs after a resume. RandAugment also moves pixels without saying where to,
and takes all eleven operations to keep two. CutMix is left out altogether: it mixes labels, and
the losses here are defined on 1, 0 and -1 and remember single images.
"""

from collections.abc import Sequence

import tensorflow as tf

from keras_patchpu.data.photometric import adjust_colour, rand_augment

AUGMENTATIONS = ("flip", "crop", "colour", "randaugment")

# A quarter rather than Inception's 0.08: the object of the only known label should stay in sight.
MIN_CROP_AREA = 0.25
# Of width to height, and its inverse, as Inception's (Szegedy et al., 2015).
MAX_CROP_ASPECT = 4 / 3
# Brightness, contrast and saturation from 0.6 to 1.4, as the ImageNet recipe of fb.resnet.torch.
COLOUR_STRENGTH = 0.4


def check_augmentations(names: Sequence[str]) -> None:
    """Raises a `ValueError` where a name is none of `AUGMENTATIONS`."""
    if isinstance(names, str) or not set(names) <= set(AUGMENTATIONS):
        raise ValueError(
            "Invalid value for argument `augment`. Expected a sequence of names out of "
            f"{AUGMENTATIONS}. Received: augment={names!r}"
        )


def augment_image(
    image: tf.Tensor, names: Sequence[str], seed: int, epoch: tf.Tensor, index: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One picture, changed at random, and where its pixels come from.

    All draws are functions of `(seed, epoch, index)`, and each name's draws of nothing else: a
    crop stays the same when a flip is added. Whatever the order of the names:

    1. crop: of an area uniform in 1/4..1, an aspect in 3/4..4/3 and any place; bilinear to S x S
    2. flip: left to right, every second time
    3. colour: brightness, contrast and saturation, each scaled by 0.6..1.4
    4. randaugment: two operations out of nine, see `rand_augment`

    Args:
        image: uint8 `(S, S, 3)`.
        names: of `AUGMENTATIONS`.
        seed: of the run.
        epoch: int `()`.
        index: int `()`, the row of the image in the training set.

    Returns:
        image: uint8 `(S, S, 3)`.
        crop: float32 `(4,)`, `ymin, xmin, ymax, xmax` as fractions of the given square.
        flip: bool `()`, whether what the crop shows is mirrored left to right.

    Raises:
        ValueError: a name is none of `AUGMENTATIONS`.
    """
    check_augmentations(names)
    seeds = _seeds(seed, epoch, index)
    crop, flip = tf.constant([0.0, 0.0, 1.0, 1.0]), tf.constant(False)
    if "crop" in names:
        image, crop = _crop(image, seeds["crop"])
    if "flip" in names:
        flip = tf.random.stateless_uniform((), seeds["flip"]) < 0.5
        image = tf.cond(flip, lambda: tf.reverse(image, axis=[1]), lambda: image)
    if "colour" in names:
        factors = tf.random.stateless_uniform(
            (3,), seeds["colour"], 1 - COLOUR_STRENGTH, 1 + COLOUR_STRENGTH
        )
        image = adjust_colour(image, *tf.unstack(factors))
    if "randaugment" in names:
        image = rand_augment(image, seeds["randaugment"])
    return image, crop, flip


def _seeds(seed, epoch, index):
    """A seed `(2,)` for each of `AUGMENTATIONS`, far from those of every other image and epoch."""
    fold_in = tf.random.fold_in
    image_seed = tf.constant([seed, 0], tf.int64)
    for number in (epoch, index):
        image_seed = fold_in(image_seed, tf.cast(number, tf.int64))
    return {
        name: fold_in(image_seed, tf.constant(number, tf.int64))
        for number, name in enumerate(AUGMENTATIONS)
    }


def _crop(image, seed):
    """A random crop of an image, resized to its size, and the box of the crop `(4,)`."""
    size = image.shape[0]
    area, aspect, top, left = tf.unstack(tf.random.stateless_uniform((4,), seed))
    area = MIN_CROP_AREA + (1 - MIN_CROP_AREA) * area
    # Only aspects that fit into the square, so that no draw is thrown away and the area is uniform.
    widest = tf.minimum(MAX_CROP_ASPECT, 1 / area)
    aspect = widest ** (2 * aspect - 1)
    sides = tf.sqrt(tf.stack([area / aspect, area * aspect]))
    sides = tf.cast(tf.clip_by_value(tf.round(size * sides), 1, size), tf.int32)
    room = tf.cast(size - sides + 1, tf.float32)
    start = tf.minimum(tf.cast(tf.stack([top, left]) * room, tf.int32), size - sides)
    pixels = tf.slice(image, tf.pad(start, [[0, 1]]), tf.concat([sides, [3]], axis=0))
    # Never made smaller, so there is nothing to antialias.
    resized = tf.ensure_shape(tf.image.resize(pixels, (size, size)), image.shape)
    box = tf.cast(tf.concat([start, start + sides], axis=0), tf.float32) / size
    return tf.cast(tf.round(resized), tf.uint8), box

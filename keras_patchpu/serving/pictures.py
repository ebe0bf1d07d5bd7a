"""Pictures from strangers: each is decoded, or told apart, without failing its neighbours."""

import tensorflow as tf

from keras_patchpu.data import decode_and_resize
from keras_patchpu.data.picture_size import MAX_PIXELS, TOO_LARGE, num_pixels

OK = "ok"
NO_PICTURE = "not a whole JPEG, PNG, GIF or BMP picture"


def decode_pictures(image_bytes, size: int, resize: str):
    """Decodes and resizes each picture by itself.

    TF Serving merges the pictures of many callers into one batch, and an operation that fails
    fails the batch. So each picture is decoded in a dataset of its own, whose errors are ignored,
    followed by black pictures with what may be wrong; the first of them all is taken.

    Args:
        image_bytes: strings `(N,)`.
        size, resize: as for `decode_and_resize`.

    Returns:
        uint8 `(N, size, size, 3)`, black where there is no picture, and strings `(N,)`: `OK`,
        `NO_PICTURE` or `TOO_LARGE`.
    """

    black = tf.zeros((size, size, 3), tf.uint8)

    def read(encoded):
        return decode_and_resize(encoded, size, resize), OK

    def explain(encoded):
        return black, tf.where(num_pixels(encoded) > MAX_PIXELS, TOO_LARGE, NO_PICTURE)

    def decode(encoded):
        picture = tf.data.Dataset.from_tensors(encoded)
        tries = picture.map(read).ignore_errors()
        tries = tries.concatenate(picture.map(explain).ignore_errors())
        tries = tries.concatenate(tf.data.Dataset.from_tensors((black, NO_PICTURE)))
        return tries.take(1).get_single_element()

    return tf.map_fn(
        decode,
        image_bytes,
        fn_output_signature=(
            tf.TensorSpec((size, size, 3), tf.uint8),
            tf.TensorSpec((), tf.string),
        ),
    )

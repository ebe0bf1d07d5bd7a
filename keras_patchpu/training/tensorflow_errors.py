"""Errors of TensorFlow that the user can see to."""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_patchpu.data import Examples, load_images
from keras_patchpu.errors import InputError


@contextlib.contextmanager
def told_in_a_line(
    examples: Examples, batch_size: int, size: int, resize: str, cached: np.ndarray | None
) -> Iterator[None]:
    """Says what is wrong where a model is fed with these images.

    Args:
        examples: N images.
        batch_size: images a batch.
        size, resize: as for `decode_and_resize`.
        cached: their pixels, or None where their files are read.

    Raises:
        InputError: the memory does not suffice, or a picture cannot be read any more.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"there is not enough memory for batches of {batch_size} images of {size} pixels: "
            "start anew with a smaller --batch-size"
        ) from error
    except tf.errors.OpError:
        # It does not say which picture; to find out all of them are read once more.
        if cached is None:
            load_images(examples, size, resize, keep=False, progress=False)
        raise

"""Every picture of a split read once, before training."""

import concurrent.futures
import functools
import os
import pathlib

import numpy as np
import tensorflow as tf
import tqdm

from keras_patchpu.data.decode import decode_and_resize
from keras_patchpu.data.examples import Examples
from keras_patchpu.errors import InputError


def load_images(
    examples: Examples, size: int, resize: str = "stretch", keep: bool = True, progress: bool = True
) -> np.ndarray | None:
    """Decodes every picture once, so that a broken one is known before training starts.

    Args:
        examples: N images.
        size, resize: as for `decode_and_resize`.
        keep: return the pictures; if false they are only checked.
        progress: show a progress bar on stderr.

    Returns:
        uint8 `(N, size, size, 3)` if `keep`, else None.

    Raises:
        InputError: names the first picture that cannot be read and the number of further ones.
    """
    loaded = np.empty((len(examples), size, size, 3), np.uint8) if keep else None
    decode = tf.function(
        functools.partial(decode_and_resize, size=size, resize=resize),
        input_signature=[tf.TensorSpec((), tf.string)],
    )

    def load(row):
        try:
            image = decode(read_encoded(examples, row))
        except tf.errors.InvalidArgumentError:
            return "truncated or not an image"
        except OSError as error:
            return error.strerror or "cannot be opened"
        if keep:
            loaded[row] = image
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(load, range(len(examples)))
        bar = tqdm.tqdm(
            done,
            "reading images",
            len(examples),
            unit="image",
            leave=False,
            disable=None if progress else True,  # None: shown on a terminal only
        )
        broken = [(row, reason) for row, reason in enumerate(bar) if reason]
    if broken:
        row, reason = broken[0]
        image = examples.images[row]
        name = image if isinstance(image, str) else examples.keys[row]
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise InputError(
            f"{name}{more} is not a picture that can be read ({reason}): remove it from the split "
            "or replace it"
        )
    return loaded


def read_encoded(examples: Examples, row: int) -> bytes:
    """The encoded picture of one row, from memory or from its file."""
    image = examples.images[row]
    return image if isinstance(image, bytes) else pathlib.Path(image).read_bytes()

"""Every picture of a split read once, before training."""

import concurrent.futures
import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tqdm

from keras_patchpu.data.decode import decode_and_resize
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.picture_files import read_picture
from keras_patchpu.data.picture_size import TOO_LARGE, is_too_large
from keras_patchpu.data.silent_libraries import libraries_silent
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
        InputError: see `decode_images`.
    """
    loaded = np.empty((len(examples), size, size, 3), np.uint8) if keep else None
    decode_images(examples, size, resize, loaded.__setitem__ if keep else None, progress)
    return loaded


def decode_images(
    examples: Examples,
    size: int,
    resize: str,
    store: Callable[[int, np.ndarray], None] | None,
    progress: bool = True,
) -> None:
    """Decodes every picture once, on all cores, and hands each over.

    Args:
        examples: N images.
        size, resize: as for `decode_and_resize`.
        store: called with the row and the picture, uint8 `(size, size, 3)`, in any order and by
            several threads at once; None where the pictures are only checked. What it raises ends
            the reading.
        progress: show a progress bar on stderr.

    Raises:
        InputError: at the end; names the first picture that cannot be read and the number of
            further ones.
    """
    decode = tf.function(
        functools.partial(decode_and_resize, size=size, resize=resize),
        input_signature=[tf.TensorSpec((), tf.string)],
    )

    def load(row):
        try:
            encoded = read_encoded(examples, row)
            image = decode(encoded)
        except tf.errors.OpError:
            return TOO_LARGE if is_too_large(encoded) else "truncated or not an image"
        except OSError as error:
            return error.strerror or "cannot be opened"
        if store is not None:
            store(row, image.numpy())
        return None

    with libraries_silent(), reading_threads() as pool:
        bar = tqdm.tqdm(
            pool.map(load, range(len(examples))),
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


def read_encoded(examples: Examples, row: int) -> bytes:
    """The encoded picture of one row, from memory or from its file."""
    image = examples.images[row]
    return image if isinstance(image, bytes) else read_picture(image)


@contextlib.contextmanager
def reading_threads() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """A thread for each core; who stops the program waits for the pictures being read alone."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)

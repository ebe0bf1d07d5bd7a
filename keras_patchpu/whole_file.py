"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from keras_patchpu.errors import InputError

UNFINISHED = ".unfinished-"


@contextlib.contextmanager
def replaced_whole(path: str | os.PathLike, advice: str) -> Iterator[pathlib.Path]:
    """Gives a path to write to; what is there at the end takes the place of `path` at once.

    A reader finds the old file or the new one, never a part; an error leaves nothing behind, and
    what a killed process left is written over.

    Args:
        path: of the file.
        advice: what the user can do where it cannot be written.

    Raises:
        InputError: it cannot be written, as on a full disk.
    """
    path = pathlib.Path(path)
    # The suffix stays: Keras goes by it.
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        try:
            yield unfinished
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): {advice}"
        ) from error

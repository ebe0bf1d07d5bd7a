"""A directory that one process at a time writes to."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator

from keras_patchpu.errors import InputError

LOCK = ".lock"


@contextlib.contextmanager
def sole_use(folder: pathlib.Path, users: str) -> Iterator[int]:
    """Keeps others out of a directory; gives a descriptor for child processes to inherit.

    A child that has it holds the lock, too, and a lock goes with its last process however that
    ends.

    Args:
        folder: that exists; a file `LOCK` is made in it, and stays.
        users: who may hold it, for the message.

    Raises:
        InputError: another process holds it, or it cannot be locked.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(folder / LOCK, "a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder} is in use by {users}: wait for its end, or give another --out"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder} cannot be locked ({error.strerror}): give another --out"
            ) from error
        yield file.fileno()

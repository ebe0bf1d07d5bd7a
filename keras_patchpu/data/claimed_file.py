"""A file that one process at a time makes, and that is known for a leftover once it is killed."""

import contextlib
import fcntl
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def claimed(path: pathlib.Path, work: str | None = None) -> Iterator[BinaryIO]:
    """The file of that name, empty and locked, for `os.replace` to rename when it is whole.

    Waits while another process has it. If it still has its name in the end, it is deleted. The
    lock goes with its process however that ends, so that no process number is to be trusted.

    Args:
        path: of the file; what a killed process left there is emptied.
        work: said on stderr while waiting for another process to do it; None to say nothing.

    Raises:
        OSError: it cannot be made or locked.
    """
    while True:
        with open(path, "r+b", buffering=0, opener=_create) as file:
            if not _lock(file):
                if work:
                    print(f"waiting for another process to {work}", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            # Who had the lock before may have renamed or deleted the file.
            if not _is_at(file, path):
                continue
            try:
                file.truncate(0)
                yield file
            finally:
                if _is_at(file, path):
                    path.unlink()
            return


def delete_abandoned(path: pathlib.Path) -> bool:
    """Deletes the file of `claimed` if its process is no more; false where that is at work.

    Raises:
        OSError: it cannot be deleted.
    """
    try:
        with open(path, "r+b") as file:
            if not _lock(file):
                return False
            if _is_at(file, path):
                path.unlink()
    except FileNotFoundError:
        pass  # somebody else was faster
    return True


def _create(path, flags):
    # A link would be another file than the one that is renamed.
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file, path):
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False

"""The picture files that somebody names, one after the other."""

import os
from collections.abc import Iterator

from keras_patchpu.data.bounded_read import read_at_most

# Of the kinds that `decode_and_resize` reads.
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")
# A BMP of the most pixels that are decoded, 4 bytes each, is a little smaller.
MAX_BYTES = 2**28


def picture_files(path: str | os.PathLike) -> Iterator[str]:
    """A file itself, whatever it is called, or the pictures in a folder and its subfolders.

    In a folder pictures are known by their `SUFFIXES`, in small or capital letters; hidden files
    and folders are passed over, and links to folders, which may lead round in a circle. No more
    than the names in one folder and in those above it is held at a time.

    Args:
        path: of a file or a folder. What is not there is given too: who opens it will see.

    Returns:
        Paths that begin with `path`, those of a folder in the order of `sorted`.

    Raises:
        OSError: a folder cannot be read.
    """
    path = os.fspath(path)
    return _walk(path) if os.path.isdir(path) else iter([path])


def read_picture(path: str | os.PathLike) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, or has more than `MAX_BYTES`.
    """
    return read_at_most(path, MAX_BYTES)


def _walk(folder):
    with os.scandir(folder) as entries:
        # As a part of a longer path the name of a folder ends with a slash.
        names = sorted(
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
            for entry in entries
            if not entry.name.startswith(".")
        )
    for name in names:
        path = os.path.join(folder, name)
        if name.endswith("/"):
            yield from _walk(path)
        # A pipe would be waited for; a link to nothing is given, for it is told of then.
        elif name.lower().endswith(SUFFIXES) and (os.path.isfile(path) or not os.path.exists(path)):
            yield path

"""Reading a file that may be endless."""

import errno
import os
import stat


def read_at_most(path: str | os.PathLike, most_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        OSError: it cannot be read, or has more than `most_bytes`, as a device may without an end.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            content = file.read() if status.st_size <= most_bytes else None
        else:
            content = file.read(most_bytes + 1)
    if content is None or len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"more than {most_bytes:,} bytes", os.fspath(path))
    return content

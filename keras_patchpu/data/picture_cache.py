"""Decoded and resized pictures kept on disk between runs."""

import contextlib
import hashlib
import io
import math
import os
import pathlib
import re
import stat

import numpy as np
import tensorflow as tf

from keras_patchpu.data.claimed_file import claimed, delete_abandoned
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.loading import decode_images
from keras_patchpu.errors import InputError

MAX_BYTES = 20 * 2**30
# Part of what a file is named by: a new number for every change of what is in the files.
_FORMAT = 2
_NAME = re.compile(r"pictures-[0-9a-f]{32}\.npy")
_UNFINISHED = ".unfinished-"
_ADVICE = "give another --cache folder, or --cache none to keep no pictures on disk"


class PictureCache:
    """A folder of `.npy` files, each with the pictures of one split at one size.

    A file is named by what went into it, so that after a change of a picture, of the size or of
    TensorFlow there is none, and a new one is made. It has its name only once it is whole. Who
    wants what another process is making waits for it. Other files in the folder are not touched.

    Args:
        folder: of the files; None for `$XDG_CACHE_HOME/keras_patchpu` or `~/.cache/keras_patchpu`.
            It is made when there is something to put into it.
        max_bytes: of all files together. Those unused for longest make room for a new one; one that
            another process still reads takes up the disk until that process ends.

    Raises:
        InputError: the user has no home, and `folder` is within it.
    """

    def __init__(self, folder: str | os.PathLike | None = None, max_bytes: int = MAX_BYTES):
        if folder is None:
            base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
            folder = pathlib.Path(base) / "keras_patchpu"
        try:
            self.folder = pathlib.Path(folder).expanduser()
        except RuntimeError as error:
            raise InputError(f"{folder} cannot be found ({error}): {_ADVICE}") from error
        self.max_bytes = max_bytes
        self._in_use = set()

    def get(
        self, examples: Examples, size: int, resize: str = "stretch", progress: bool = True
    ) -> np.ndarray | None:
        """The pictures of all examples, decoded at first use.

        Args:
            examples: N images.
            size, resize: as for `decode_and_resize`.
            progress: show on stderr how far the decoding is.

        Returns:
            uint8 `(N, size, size, 3)`, a read-only memory map of the file. None if it does not fit
            into `max_bytes` beside what this object gave before; the pictures are checked then.

        Raises:
            InputError: a picture cannot be read, or the folder cannot be written.
        """
        shape = (len(examples), size, size, 3)
        header = _header(shape)
        num_bytes = len(header) + math.prod(shape)
        path = self.folder / f"pictures-{_fingerprint(examples, size, resize)}.npy"
        try:
            pictures = _open(path, header, shape)
            if pictures is None and num_bytes <= self.max_bytes:
                self.folder.mkdir(parents=True, exist_ok=True)
                work = "resize the same pictures" if progress else None
                with claimed(path.with_name(_UNFINISHED + path.name), work) as file:
                    # Who had the file before may have finished it.
                    pictures = _open(path, header, shape)
                    if pictures is None and self._make_room(path, num_bytes):
                        _write(file, header, examples, size, resize, progress)
                        os.replace(file.name, path)
                        pictures = _open(path, header, shape)
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot hold {math.ceil(num_bytes / 1e6):,} MB of resized pictures "
                f"({error.strerror or error}): {_ADVICE}"
            ) from error
        if pictures is None:
            decode_images(examples, size, resize, store=None, progress=progress)
        else:
            self._in_use.add(path.name)
        return pictures

    def _make_room(self, path, num_bytes):
        """Whether `num_bytes` fit; deletes leftovers of killed processes and what is beyond."""
        path.unlink(missing_ok=True)  # damaged, or it would have been used
        kept, old = 0, []
        for file in self.folder.iterdir():
            unfinished = file.name.startswith(_UNFINISHED)
            if not _NAME.fullmatch(file.name.removeprefix(_UNFINISHED)):
                continue
            try:
                status = file.lstat()
            except FileNotFoundError:
                continue  # another process makes room, too
            if not stat.S_ISREG(status.st_mode) or (unfinished and delete_abandoned(file)):
                continue
            if unfinished or file.name in self._in_use:
                kept += status.st_size
            else:
                old.append((status.st_mtime_ns, status.st_size, file))
        if kept + num_bytes > self.max_bytes:
            return False
        too_many = kept + num_bytes + sum(size for _, size, _ in old) - self.max_bytes
        for _, size, file in sorted(old):
            if too_many > 0:
                file.unlink(missing_ok=True)
                too_many -= size
        return True


def _fingerprint(examples, size, resize):
    """32 hexadecimal digits that stand for all that decides the pictures."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((_FORMAT, tf.__version__, size, resize)).encode())
    for image in examples.images:
        if isinstance(image, bytes):
            part = hashlib.blake2b(image).hexdigest()
        else:
            try:
                status = os.stat(image)
                # Size and time of the content alone stay the same where files are swapped.
                times = (status.st_mtime_ns, status.st_ctime_ns)
                part = (os.path.abspath(image), status.st_ino, status.st_size, *times)
            except OSError:
                part = None  # the decoding will say what is wrong with it
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _header(shape):
    file = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


def _open(path, header, shape):
    """The pictures in that file, or None if it is not there or not whole."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(header)) != header or size != len(header) + math.prod(shape):
            return None
        with contextlib.suppress(OSError):  # a folder that others fill serves as well
            os.utime(file.fileno())  # its last use
        return np.memmap(file, np.uint8, "r", len(header), shape)


def _write(file, header, examples, size, resize, progress):
    """Decodes into an open file; all is on the disk when this returns."""
    picture_bytes = 3 * size**2

    def write(data, start):
        while len(data):
            written = os.pwrite(file.fileno(), data, start)
            data, start = data[written:], start + written

    def store(row, image):
        write(memoryview(image).cast("B"), len(header) + row * picture_bytes)

    # A full disk is known before hours of decoding; macOS cannot reserve, and knows it then.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, len(header) + len(examples) * picture_bytes)
    write(header, 0)
    decode_images(examples, size, resize, store, progress)
    os.fsync(file.fileno())

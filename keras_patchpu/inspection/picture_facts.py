"""What there is to know of a picture without looking at it: size, kind, hashes, is it broken."""

import functools
import hashlib
import io
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf
import tqdm
from PIL import Image

from keras_patchpu.data.decode import decode
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.loading import read_encoded, reading_threads
from keras_patchpu.data.picture_size import TOO_LARGE, is_too_large
from keras_patchpu.data.silent_libraries import libraries_silent

# How the files begin that training reads.
_BEGINNINGS = {b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}
_DIGEST_BYTES = 16
# Pictures whose reading is under way or waits: it bounds memory.
_AT_ONCE = 256


class PictureFacts(NamedTuple):
    """One picture.

    Attributes:
        broken: why training cannot read it, or None.
        num_bytes: of the file.
        bytes_digest: of the file's content, or None where the file cannot be read.
        height, width: in pixels; 0 where broken, as in what follows.
        kind: format and mode as PIL names them, such as `"JPEG RGB"` or `"PNG I;16"`.
        pixels_digest: of the size and the RGB pixels.
    """

    broken: str | None
    num_bytes: int = 0
    bytes_digest: bytes | None = None
    height: int = 0
    width: int = 0
    kind: str = ""
    pixels_digest: bytes | None = None


def read_facts(examples: Examples, progress: bool = True) -> list[PictureFacts]:
    """Reads and decodes every picture once, in threads, and keeps none of them.

    A picture is broken if `load_images`, which training begins with, finds it so.

    Args:
        examples: N images.
        progress: show a progress bar on stderr.

    Returns:
        The facts of N pictures.
    """
    with libraries_silent(), warnings.catch_warnings(), reading_threads() as pool:
        # Size is no fault here: nothing but the header is read by PIL.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        bar = tqdm.tqdm(
            _read_all(pool, examples),
            f"reading {examples.split} images",
            len(examples),
            unit="image",
            leave=False,
            disable=None if progress else True,  # None: shown on a terminal only
        )
        return list(bar)


def _read_all(pool, examples) -> Iterator[PictureFacts]:
    read = functools.partial(_read, examples)
    for start in range(0, len(examples), _AT_ONCE):
        yield from pool.map(read, range(start, min(start + _AT_ONCE, len(examples))))


def _read(examples, row):
    try:
        encoded = read_encoded(examples, row)
    except OSError as error:
        return PictureFacts(error.strerror or "cannot be opened")
    num_bytes, digest = len(encoded), _digest(encoded)
    kind = _kind(encoded)
    try:
        pixels = decode(encoded).numpy()
    except tf.errors.OpError:
        return PictureFacts(_why_broken(encoded, kind), num_bytes, digest)
    height, width, _ = pixels.shape
    pixels_digest = _digest(f"{height} x {width}".encode(), pixels)
    return PictureFacts(None, num_bytes, digest, height, width, kind, pixels_digest)


def _digest(*parts) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _kind(encoded):
    """Format and mode, both from the header."""
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            return f"{picture.format} {picture.mode}"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "unknown"  # PIL is stricter than TensorFlow


def _why_broken(encoded, kind):
    if not encoded:
        return "an empty file"
    if is_too_large(encoded):
        return TOO_LARGE
    for beginning, name in _BEGINNINGS.items():
        if encoded.startswith(beginning):
            return f"{name}, cut off or damaged"
    if kind == "unknown":
        return "not a picture, or without its beginning"
    return f"{kind.split()[0]}: save it as JPEG or PNG"

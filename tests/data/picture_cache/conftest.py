"""Six pictures, and an empty folder for their cache."""

import pathlib

import numpy as np
import pytest

from keras_patchpu.data import decode_and_resize, picture_cache, read_voc
from keras_patchpu.data.picture_cache import PictureCache

SIZE = 16
HEADER = 128  # of a .npy file of this kind


@pytest.fixture(scope="session")
def file_bytes():
    """The size of the file of the six pictures at `SIZE`."""
    return HEADER + 6 * SIZE * SIZE * 3


@pytest.fixture
def examples(tmp_path, make_voc):
    return read_voc(make_voc(tmp_path / "data"), "train")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def decoded():
    """The pictures by themselves: `decoded(examples, size=16, resize="stretch")`."""

    def decode(examples, size=SIZE, resize="stretch"):
        return np.stack(
            [
                decode_and_resize(pathlib.Path(image).read_bytes(), size, resize).numpy()
                for image in examples.images
            ]
        )

    return decode


@pytest.fixture(scope="session")
def get():
    """The pictures by a cache: `get(folder, examples, size, resize, max_bytes)`."""

    def get_cached(
        folder, examples, size=SIZE, resize="stretch", max_bytes=picture_cache.MAX_BYTES
    ):
        return PictureCache(folder, max_bytes).get(examples, size, resize, progress=False)

    return get_cached


@pytest.fixture(scope="session")
def files():
    """The names of what is in a folder: `files(folder)`."""
    return lambda folder: sorted(file.name for file in folder.iterdir())


@pytest.fixture
def decodings(monkeypatch):
    """How often pictures were decoded."""
    calls = []

    def count(*arguments, **options):
        calls.append(arguments)
        return decode_images(*arguments, **options)

    decode_images = picture_cache.decode_images
    monkeypatch.setattr(picture_cache, "decode_images", count)
    return calls

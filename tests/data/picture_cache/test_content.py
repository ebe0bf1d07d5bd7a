"""What the cache holds, and when it is made anew."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import (
    decode_and_resize,
    picture_cache,
    read_digits,
    read_voc,
    training_batches,
)
from keras_patchpu.errors import InputError

SIZE = 16


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_holds_what_decoding_each_picture_gives_and_cannot_be_written(
    folder, examples, resize, get, files, decoded
):
    pictures = get(folder, examples, resize=resize)
    assert pictures.dtype == np.uint8 and isinstance(pictures, np.memmap)
    np.testing.assert_array_equal(pictures, decoded(examples, SIZE, resize))
    with pytest.raises(ValueError, match="read-only"):
        pictures[0] = 0
    (name,) = files(folder)
    np.testing.assert_array_equal(np.load(folder / name), pictures)


def test_the_second_use_decodes_nothing(folder, examples, decodings, get):
    first = get(folder, examples)
    np.testing.assert_array_equal(get(folder, examples), first)
    assert len(decodings) == 1
    relative = [os.path.relpath(image) for image in examples.images]
    get(folder, dataclasses.replace(examples, images=relative))
    assert len(decodings) == 1


def test_serves_the_training_batches(folder, examples, get):
    pictures = get(folder, examples)
    batches = training_batches(examples, examples.labels, 4, SIZE, cached=pictures)
    for images, targets in batches.as_numpy_iterator():
        np.testing.assert_array_equal(images, pictures[targets["index"]])


def test_pictures_in_memory_go_by_their_content(folder, decodings, get):
    examples = read_digits("train", num_examples=4).select([0, 1, 2])
    pictures = get(folder, examples)
    for picture, encoded in zip(pictures, examples.images, strict=True):
        np.testing.assert_array_equal(picture, decode_and_resize(encoded, SIZE))
    get(folder, dataclasses.replace(examples, keys=("a", "b", "c")))
    assert len(decodings) == 1
    np.testing.assert_array_equal(get(folder, examples.select([2, 0, 1])), pictures[[2, 0, 1]])
    assert len(decodings) == 2


@pytest.mark.parametrize("change", ["content", "time", "size", "resize", "tensorflow", "order"])
def test_every_change_makes_another(
    folder, examples, decodings, monkeypatch, change, get, files, decoded
):
    get(folder, examples)
    size, resize = SIZE, "stretch"
    picture = pathlib.Path(examples.images[3])
    status = picture.stat()
    if change == "content":
        picture.write_bytes(pathlib.Path(examples.images[2]).read_bytes())
        os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert picture.stat().st_size != status.st_size
    elif change == "time":
        os.utime(picture, ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    elif change == "size":
        size = SIZE + 1
    elif change == "resize":
        resize = "pad"
    elif change == "tensorflow":
        monkeypatch.setattr(picture_cache.tf, "__version__", "1.0")
    else:
        examples = examples.select([1, 0, 2, 3, 4, 5])
    np.testing.assert_array_equal(
        get(folder, examples, size, resize), decoded(examples, size, resize)
    )
    assert len(decodings) == len(files(folder)) == 2


def test_files_swapped_with_their_size_and_time(folder, tmp_path, make_voc, get):
    examples = read_voc(make_voc(tmp_path / "bmp"), "train")
    for number, image in enumerate(examples.images):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(image, "bmp")
        os.utime(image, ns=(0, 0))
    before = np.array(get(folder, examples))
    first, second = examples.images[:2]
    os.rename(first, first + ".aside")
    os.rename(second, first)
    os.rename(first + ".aside", second)
    np.testing.assert_array_equal(get(folder, examples)[[1, 0]], before[:2])


@pytest.mark.parametrize("damage", ["truncated", "longer", "empty", "another header"])
def test_a_damaged_file_is_made_anew(
    folder, examples, decodings, damage, get, files, decoded, file_bytes
):
    get(folder, examples)
    (name,) = files(folder)
    content = (folder / name).read_bytes()
    assert len(content) == file_bytes
    damaged = {
        "truncated": content[:-1],
        "longer": content + b"\0",
        "empty": b"",
        "another header": content[:20] + b"\xff" * 10 + content[30:],
    }
    (folder / name).write_bytes(damaged[damage])
    np.testing.assert_array_equal(get(folder, examples), decoded(examples))
    assert (folder / name).read_bytes() == content
    assert len(decodings) == 2


def test_broken_pictures_are_named_and_nothing_is_left(folder, examples, get, files):
    pathlib.Path(examples.images[1]).write_text("this is text")
    pathlib.Path(examples.images[4]).unlink()
    with pytest.raises(InputError) as error:
        get(folder, examples)
    message = str(error.value)
    assert message.startswith(
        f"{examples.images[1]} (and 1 more) is not a picture that can be read"
    )
    assert files(folder) == []


def test_no_pictures(folder, examples, get):
    assert get(folder, examples.select([])).shape == (0, SIZE, SIZE, 3)

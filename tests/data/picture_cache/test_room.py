"""Where the cache is, and what it does where there is little room, or none."""

import os
import pathlib
import time

import numpy as np
import pytest

from keras_patchpu.data.picture_cache import PictureCache
from keras_patchpu.errors import InputError

SIZE = 16


def test_a_full_disk_is_said_in_one_line_and_nothing_is_left(
    folder, examples, files_of_at_most, get, files, file_bytes
):
    with files_of_at_most(file_bytes - 1), pytest.raises(InputError) as error:
        get(folder, examples)
    message = str(error.value)
    assert message.startswith(f"{folder} cannot hold 1 MB of resized pictures (File too large)")
    assert "--cache none" in message and "\n" not in message
    assert files(folder) == []


def test_a_disk_that_fills_while_pictures_are_written(
    folder, examples, monkeypatch, get, files, file_bytes
):
    def pwrite(descriptor, data, start):
        if start > file_bytes // 2:
            raise OSError(28, "No space left on device")
        # What a nearly full disk does first.
        return write(descriptor, data[: max(1, len(data) // 2)], start)

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(InputError, match=r"No space left on device\): give another --cache folder"):
        get(folder, examples)
    assert files(folder) == []


def test_a_folder_that_cannot_be_made(tmp_path, examples, get):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold 1 MB of resized pictures") as error:
        get(tmp_path / "file" / "cache", examples)
    assert "\n" not in str(error.value)


def test_a_read_only_folder_serves_what_it_has(folder, examples, get):
    expected = get(folder, examples)
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("root writes everywhere")
    try:
        np.testing.assert_array_equal(get(folder, examples), expected)
        with pytest.raises(InputError, match="Permission denied"):
            get(folder, examples, SIZE + 1)
    finally:
        folder.chmod(0o700)


def test_what_cannot_fit_is_checked_and_not_made(folder, examples, get, file_bytes):
    assert get(folder, examples, max_bytes=file_bytes - 1) is None
    assert not folder.exists()
    assert get(folder, examples, max_bytes=file_bytes) is not None
    pathlib.Path(examples.images[2]).write_text("this is text")
    with pytest.raises(InputError, match="is not a picture that can be read"):
        get(folder, examples, max_bytes=file_bytes - 1)


def test_those_unused_for_longest_make_room(folder, examples, get, files, file_bytes):
    def age(seconds):
        return {name for name in files(folder) if (folder / name).stat().st_mtime < now - seconds}

    now = time.time()
    names = []
    for number in range(3):
        get(folder, examples.select(np.roll(range(6), number)))
        (name,) = set(files(folder)) - set(names)
        names.append(name)
        os.utime(folder / name, (now - 3000 + number * 1000,) * 2)
    get(folder, examples)  # the first made is the last used
    assert age(500) == set(names[1:])
    others = ["notes.npy", "pictures-1.npy", names[0] + ".old", "." + names[0]]
    for other in others:
        (folder / other).write_bytes(bytes(file_bytes))
        os.utime(folder / other, (0, 0))
    get(folder, examples.select([5, 4, 3, 2, 1, 0]), max_bytes=3 * file_bytes)
    left = set(files(folder))
    assert left >= {names[0], names[2], *others} and names[1] not in left
    assert len(left) == 3 + len(others)


def test_one_run_does_not_throw_out_its_own(folder, examples, get, files, file_bytes):
    cache = PictureCache(folder, 2 * file_bytes)
    first, second = examples, examples.select([5, 4, 3, 2, 1, 0])
    third = examples.select([2, 1, 0, 3, 4, 5])
    get(folder, third)
    assert cache.get(first, SIZE, progress=False) is not None
    assert cache.get(second, SIZE, progress=False) is not None
    assert cache.get(third, SIZE, progress=False) is None
    assert cache.get(first, SIZE, progress=False) is not None
    assert len(files(folder)) == 2


def test_the_folder_is_where_others_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert PictureCache().folder == tmp_path / "keras_patchpu"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PictureCache().folder == tmp_path / ".cache" / "keras_patchpu"
    assert PictureCache("~/pictures").folder == tmp_path / "pictures"
    with pytest.raises(InputError, match="give another --cache folder"):
        PictureCache("~nobody-of-this-name/cache")

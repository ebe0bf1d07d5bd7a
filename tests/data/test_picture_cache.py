import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

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
from keras_patchpu.data.picture_cache import PictureCache
from keras_patchpu.errors import InputError

SIZE = 16
HEADER = 128  # of a .npy file of this kind
FILE_BYTES = HEADER + 6 * SIZE * SIZE * 3


@pytest.fixture
def examples(tmp_path, make_voc):
    return read_voc(make_voc(tmp_path / "data"), "train")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def decoded(examples, size=SIZE, resize="stretch"):
    return np.stack(
        [
            decode_and_resize(pathlib.Path(image).read_bytes(), size, resize).numpy()
            for image in examples.images
        ]
    )


def get(folder, examples, size=SIZE, resize="stretch", max_bytes=picture_cache.MAX_BYTES):
    return PictureCache(folder, max_bytes).get(examples, size, resize, progress=False)


def files(folder):
    return sorted(file.name for file in folder.iterdir())


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


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_holds_what_decoding_each_picture_gives_and_cannot_be_written(folder, examples, resize):
    pictures = get(folder, examples, resize=resize)
    assert pictures.dtype == np.uint8 and isinstance(pictures, np.memmap)
    np.testing.assert_array_equal(pictures, decoded(examples, SIZE, resize))
    with pytest.raises(ValueError, match="read-only"):
        pictures[0] = 0
    (name,) = files(folder)
    np.testing.assert_array_equal(np.load(folder / name), pictures)


def test_the_second_use_decodes_nothing(folder, examples, decodings):
    first = get(folder, examples)
    np.testing.assert_array_equal(get(folder, examples), first)
    assert len(decodings) == 1
    relative = [os.path.relpath(image) for image in examples.images]
    get(folder, dataclasses.replace(examples, images=relative))
    assert len(decodings) == 1


def test_serves_the_training_batches(folder, examples):
    pictures = get(folder, examples)
    batches = training_batches(examples, examples.labels, 4, SIZE, cached=pictures)
    for images, targets in batches.as_numpy_iterator():
        np.testing.assert_array_equal(images, pictures[targets["index"]])


def test_pictures_in_memory_go_by_their_content(folder, decodings):
    examples = read_digits("train", num_examples=4).select([0, 1, 2])
    pictures = get(folder, examples)
    for picture, encoded in zip(pictures, examples.images, strict=True):
        np.testing.assert_array_equal(picture, decode_and_resize(encoded, SIZE))
    get(folder, dataclasses.replace(examples, keys=("a", "b", "c")))
    assert len(decodings) == 1
    np.testing.assert_array_equal(get(folder, examples.select([2, 0, 1])), pictures[[2, 0, 1]])
    assert len(decodings) == 2


@pytest.mark.parametrize("change", ["content", "time", "size", "resize", "tensorflow", "order"])
def test_every_change_makes_another(folder, examples, decodings, monkeypatch, change):
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


def test_files_swapped_with_their_size_and_time(folder, tmp_path, make_voc):
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
def test_a_damaged_file_is_made_anew(folder, examples, decodings, damage):
    get(folder, examples)
    (name,) = files(folder)
    content = (folder / name).read_bytes()
    assert len(content) == FILE_BYTES
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


def test_broken_pictures_are_named_and_nothing_is_left(folder, examples):
    pathlib.Path(examples.images[1]).write_text("this is text")
    pathlib.Path(examples.images[4]).unlink()
    with pytest.raises(InputError) as error:
        get(folder, examples)
    message = str(error.value)
    assert message.startswith(
        f"{examples.images[1]} (and 1 more) is not a picture that can be read"
    )
    assert files(folder) == []


def test_a_full_disk_is_said_in_one_line_and_nothing_is_left(folder, examples, files_of_at_most):
    with files_of_at_most(FILE_BYTES - 1), pytest.raises(InputError) as error:
        get(folder, examples)
    message = str(error.value)
    assert message.startswith(f"{folder} cannot hold 1 MB of resized pictures (File too large)")
    assert "--cache none" in message and "\n" not in message
    assert files(folder) == []


def test_a_disk_that_fills_while_pictures_are_written(folder, examples, monkeypatch):
    def pwrite(descriptor, data, start):
        if start > FILE_BYTES // 2:
            raise OSError(28, "No space left on device")
        # What a nearly full disk does first.
        return write(descriptor, data[: max(1, len(data) // 2)], start)

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(InputError, match=r"No space left on device\): give another --cache folder"):
        get(folder, examples)
    assert files(folder) == []


def test_a_folder_that_cannot_be_made(tmp_path, examples):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold 1 MB of resized pictures") as error:
        get(tmp_path / "file" / "cache", examples)
    assert "\n" not in str(error.value)


def test_a_read_only_folder_serves_what_it_has(folder, examples):
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


def test_what_cannot_fit_is_checked_and_not_made(folder, examples):
    assert get(folder, examples, max_bytes=FILE_BYTES - 1) is None
    assert not folder.exists()
    assert get(folder, examples, max_bytes=FILE_BYTES) is not None
    pathlib.Path(examples.images[2]).write_text("this is text")
    with pytest.raises(InputError, match="is not a picture that can be read"):
        get(folder, examples, max_bytes=FILE_BYTES - 1)


def test_those_unused_for_longest_make_room(folder, examples):
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
        (folder / other).write_bytes(bytes(FILE_BYTES))
        os.utime(folder / other, (0, 0))
    get(folder, examples.select([5, 4, 3, 2, 1, 0]), max_bytes=3 * FILE_BYTES)
    left = set(files(folder))
    assert left >= {names[0], names[2], *others} and names[1] not in left
    assert len(left) == 3 + len(others)


def test_one_run_does_not_throw_out_its_own(folder, examples):
    cache = PictureCache(folder, 2 * FILE_BYTES)
    first, second = examples, examples.select([5, 4, 3, 2, 1, 0])
    third = examples.select([2, 1, 0, 3, 4, 5])
    get(folder, third)
    assert cache.get(first, SIZE, progress=False) is not None
    assert cache.get(second, SIZE, progress=False) is not None
    assert cache.get(third, SIZE, progress=False) is None
    assert cache.get(first, SIZE, progress=False) is not None
    assert len(files(folder)) == 2


def test_no_pictures(folder, examples):
    assert get(folder, examples.select([])).shape == (0, SIZE, SIZE, 3)


def test_the_folder_is_where_others_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert PictureCache().folder == tmp_path / "keras_patchpu"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert PictureCache().folder == tmp_path / ".cache" / "keras_patchpu"
    assert PictureCache("~/pictures").folder == tmp_path / "pictures"
    with pytest.raises(InputError, match="give another --cache folder"):
        PictureCache("~nobody-of-this-name/cache")


# Another process; it says when it is about to decode, and waits to be told to go on.
PROGRAM = """
import sys
from keras_patchpu.data import picture_cache, read_voc
decode_images = picture_cache.decode_images
def pause(*arguments):
    print("decoding", flush=True)
    sys.stdin.readline()
    decode_images(*arguments)
picture_cache.decode_images = pause
pictures = picture_cache.PictureCache(sys.argv[2]).get(read_voc(sys.argv[1], "train"), 16)
print("sum", int(pictures.sum(dtype="int64")), flush=True)
"""


@pytest.fixture
def start(tmp_path, folder, examples):
    processes = []

    def start_one():
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, tmp_path / "data/VOCdevkit"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*command, folder], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        processes.append(process)
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_killed_process_leaves_nothing_that_is_used_and_its_leftover_goes(
    folder, examples, start, decodings
):
    process = start()
    assert process.stdout.readline() == "decoding\n"
    (leftover,) = files(folder)
    assert leftover.startswith(".unfinished-") and (folder / leftover).stat().st_size == FILE_BYTES
    # A process at work keeps its file, and its size counts.
    assert get(folder, examples, SIZE + 1, max_bytes=2 * FILE_BYTES) is None
    assert files(folder) == [leftover]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert files(folder) == [leftover]
    get(folder, examples, SIZE + 1)
    assert leftover not in files(folder) and len(files(folder)) == 1
    decodings.clear()
    np.testing.assert_array_equal(get(folder, examples), decoded(examples))
    assert len(decodings) == 1


def test_the_leftover_of_the_same_pictures_is_written_over(folder, examples, start):
    process = start()
    assert process.stdout.readline() == "decoding\n"
    process.kill()
    process.wait()
    (leftover,) = files(folder)
    np.testing.assert_array_equal(get(folder, examples), decoded(examples))
    assert files(folder) == [leftover.removeprefix(".unfinished-")]


def test_two_processes_at_once_both_get_the_pictures(folder, examples, start):
    processes = [start(), start()]
    for process in processes:
        go_on(process)
    expected = f"sum {decoded(examples).sum(dtype='int64')}"
    said = [process.communicate()[0].splitlines() for process in processes]
    assert [lines[-1] for lines in said] == [expected] * 2
    assert sorted(map(len, said)) == [1, 2]  # one of them decoded
    assert len(files(folder)) == 1


def test_who_waits_for_a_process_that_is_killed_makes_them_itself(folder, examples, start):
    first = start()
    assert first.stdout.readline() == "decoding\n"
    second = start()
    next(line for line in second.stderr if "waiting for another process" in line)
    first.kill()
    assert second.stdout.readline() == "decoding\n"
    go_on(second)
    assert second.stdout.readline() == f"sum {decoded(examples).sum(dtype='int64')}\n"
    assert len(files(folder)) == 1 and files(folder)[0].startswith("pictures-")

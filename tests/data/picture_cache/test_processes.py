"""Several processes that use one cache, and some that are killed."""

import signal
import subprocess
import sys

import numpy as np
import pytest

SIZE = 16


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
    folder, examples, start, decodings, get, files, decoded, file_bytes
):
    process = start()
    assert process.stdout.readline() == "decoding\n"
    (leftover,) = files(folder)
    assert leftover.startswith(".unfinished-") and (folder / leftover).stat().st_size == file_bytes
    # A process at work keeps its file, and its size counts.
    assert get(folder, examples, SIZE + 1, max_bytes=2 * file_bytes) is None
    assert files(folder) == [leftover]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert files(folder) == [leftover]
    get(folder, examples, SIZE + 1)
    assert leftover not in files(folder) and len(files(folder)) == 1
    decodings.clear()
    np.testing.assert_array_equal(get(folder, examples), decoded(examples))
    assert len(decodings) == 1


def test_the_leftover_of_the_same_pictures_is_written_over(
    folder, examples, start, get, files, decoded
):
    process = start()
    assert process.stdout.readline() == "decoding\n"
    process.kill()
    process.wait()
    (leftover,) = files(folder)
    np.testing.assert_array_equal(get(folder, examples), decoded(examples))
    assert files(folder) == [leftover.removeprefix(".unfinished-")]


def test_two_processes_at_once_both_get_the_pictures(folder, examples, start, files, decoded):
    processes = [start(), start()]
    for process in processes:
        go_on(process)
    expected = f"sum {decoded(examples).sum(dtype='int64')}"
    said = [process.communicate()[0].splitlines() for process in processes]
    assert [lines[-1] for lines in said] == [expected] * 2
    assert sorted(map(len, said)) == [1, 2]  # one of them decoded
    assert len(files(folder)) == 1


def test_who_waits_for_a_process_that_is_killed_makes_them_itself(
    folder, examples, start, files, decoded
):
    first = start()
    assert first.stdout.readline() == "decoding\n"
    second = start()
    next(line for line in second.stderr if "waiting for another process" in line)
    first.kill()
    assert second.stdout.readline() == "decoding\n"
    go_on(second)
    assert second.stdout.readline() == f"sum {decoded(examples).sum(dtype='int64')}\n"
    assert len(files(folder)) == 1 and files(folder)[0].startswith("pictures-")

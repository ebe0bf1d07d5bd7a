"""One process at a time in a directory."""

import subprocess
import sys

import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory, sole_use

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """Another process that holds a directory."""
    command = [sys.executable, "-c", HOLDER, tmp_path / ".lock"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_refused_until_the_first_is_killed(tmp_path, held):
    with pytest.raises(InputError) as error, sole_use(tmp_path, "another run"):
        pass
    message = str(error.value)
    assert message.startswith(f"{tmp_path} is in use by another run: ") and "--out" in message
    held.kill()
    held.wait()
    with sole_use(tmp_path, "another run"):
        with pytest.raises(InputError), sole_use(tmp_path, "another run"):
            pass
    with sole_use(tmp_path, "another run"):
        pass


def test_what_fails_within_is_not_taken_for_a_lock(tmp_path):
    with pytest.raises(BlockingIOError), sole_use(tmp_path, "another run"):
        raise BlockingIOError


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(InputError, match="nowhere cannot be locked .*--out"):
        with sole_use(tmp_path / "nowhere", "another run"):
            pass


def test_of_a_run(tmp_path):
    directory = RunDirectory(tmp_path / "runs" / "a")
    with directory.sole_use():
        directory.check({}, resume=False)  # the lock alone is no run
        with pytest.raises(InputError, match="in use by another process that trains"):
            with RunDirectory(directory.path).sole_use():
                pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be made"),
        RunDirectory(tmp_path / "file" / "a").sole_use(),
    ):
        pass

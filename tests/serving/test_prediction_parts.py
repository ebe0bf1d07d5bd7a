import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patchpu.errors import InputError
from keras_patchpu.serving import PredictionParts


def write_names(files, path):
    path.write_text("".join(f"{file}\n" for file in files))


def written(folder):
    return [
        line for path in sorted(folder.glob("part-*.csv")) for line in path.read_text().split("\n")
    ]


@given(
    num_files=st.integers(1, 20),
    part_size=st.integers(1, 7),
    num_hosts=st.integers(1, 4),
    replaced_by=st.integers(1, 4),
    lost=st.integers(0, 3),
)
def test_each_picture_once_however_many_hosts(num_files, part_size, num_hosts, replaced_by, lost):
    files = [f"{number}.jpg" for number in range(num_files)]
    with tempfile.TemporaryDirectory() as folder:
        skipped = []

        def run(hosts, num_hosts):
            for host in hosts:
                parts = PredictionParts(folder, lambda: files, part_size, "a")
                parts.write_missing(num_hosts, host, write_names, skipped.append)
            return parts

        # A host is lost; then others go on, as many as there may be.
        run([host for host in range(num_hosts) if host != lost] or [0], num_hosts)
        assert not skipped
        parts = run(range(replaced_by), replaced_by)
        assert parts.num_missing() == 0
        names = [name for name in written(parts.out) if name]
        assert names == files
        assert not [name for name in os.listdir(folder) if name.startswith(".unfinished")]


def test_other_pictures_and_another_model_are_refused(tmp_path):
    PredictionParts(tmp_path, lambda: ["a", "b"], 1, "a")
    for files, part_size, model, named in (
        (["a", "c"], 1, "a", "pictures"),
        (["a", "b", "c"], 1, "a", "num_pictures"),
        (["ab", ""], 1, "a", "pictures"),
        (["a", "b"], 2, "a", "part_size"),
        (["a", "b"], 1, "b", "model"),
    ):
        with pytest.raises(InputError, match=f"begun with {named} "):
            PredictionParts(tmp_path, lambda files=files: files, part_size, model)
    PredictionParts(tmp_path, lambda: ["a", "b"], 1, "a")


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_plan(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(InputError, match="plan.json is damaged"):
        PredictionParts(tmp_path, lambda: ["a"], 1, "a")


def test_a_directory_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        PredictionParts(tmp_path / "file" / "out", lambda: ["a"], 1, "a")


def test_a_part_that_fails_is_not_there(tmp_path):
    parts = PredictionParts(tmp_path, lambda: ["a", "b", "c"], 2, "a")

    def fail(files, path):
        write_names(files, path)
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        parts.write_missing(1, 0, fail, print)
    assert parts.num_missing() == 2
    parts.write_missing(1, 0, write_names, print)
    assert parts.num_missing() == 0


def test_two_at_the_same_part_write_it_once(tmp_path):
    parts = PredictionParts(tmp_path, lambda: ["a"], 1, "a")
    calls, skipped = [], []

    def slowly(files, path):
        calls.append(files)
        time.sleep(0.2)
        write_names(files, path)

    threads = [
        threading.Thread(target=parts.write_missing, args=(1, 0, slowly, skipped.append))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [["a"]] and skipped == [1]


KILLED_WITHIN = """
import os, pathlib, signal, sys
from keras_patchpu.serving import PredictionParts

folder, *files = sys.argv[1:]

def half(names, path):
    path.write_text(names[0])
    if names[0] == files[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    path.write_text("".join(f"{name}\\n" for name in names))

PredictionParts(pathlib.Path(folder), lambda: files, 2, "a").write_missing(1, 0, half, print)
"""


def test_a_process_that_is_killed_leaves_no_half_part(tmp_path):
    files = list("abcde")
    process = subprocess.run([sys.executable, "-c", KILLED_WITHIN, tmp_path, *files])
    assert process.returncode == -signal.SIGKILL
    parts = PredictionParts(tmp_path, lambda: files, 2, "a")
    assert parts.num_missing() == 2 and written(tmp_path) == ["a", "b", ""]
    parts.write_missing(1, 0, write_names, print)
    assert [name for name in written(tmp_path) if name] == files
    assert json.loads((tmp_path / "plan.json").read_text())["num_pictures"] == 5

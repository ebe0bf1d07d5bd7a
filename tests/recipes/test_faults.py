"""Damaged checkpoints, two runs at once, read-only folders, a clock that goes back, determinism."""

import itertools
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_patchpu.data import draw_single_positive, read_voc, training_batches
from keras_patchpu.training import RunDirectory

EPOCH = ("--epochs", "1")
DIGEST = """
import hashlib, sys
from keras_patchpu.data import draw_single_positive, read_voc, training_batches
train = read_voc(sys.argv[1], "train")
observed = draw_single_positive(train.labels, seed=5, keys=train.keys)
batches = training_batches(train, observed, 8, 16, seed=5, epochs=2, augment=("flip", "crop"))
for images, targets in batches.as_numpy_iterator():
    for array in (images, *targets.values()):
        print(hashlib.sha256(array.tobytes()).hexdigest())
"""


@pytest.fixture
def unfinished_run(finished, tmp_path):
    """A copy of a run that was cut off before its model was written."""
    shutil.copytree(finished.out, tmp_path / "run")
    for name in ("model.keras", "metrics.json", "report.html"):
        (tmp_path / "run" / name).unlink()
    return tmp_path / "run"


@pytest.mark.slow
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    finished, unfinished_run, train_voc, small_run, assert_same_end, tmp_path, capsys
):
    path = unfinished_run / "checkpoints" / "epoch-0004.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    assert train_voc.main(small_run(unfinished_run, tmp_path / "models", "--resume")) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"going on from epoch-0003.keras: {path} cannot be loaded")
    assert printed.err.count("\n") == 1
    assert "epoch   4/4" in printed.out and "epoch   3/4" not in printed.out
    assert_same_end(finished.out, unfinished_run)


def test_of_two_runs_in_a_directory_the_second_is_refused(
    unfinished_run, one_line, small_run, tmp_path
):
    with RunDirectory(unfinished_run).sole_use():
        before = {path: path.stat().st_mtime_ns for path in unfinished_run.rglob("*")}
        message = one_line(small_run(unfinished_run, tmp_path / "models", "--resume"))
        assert f"{unfinished_run} is in use by another process that trains" in message
        assert {path: path.stat().st_mtime_ns for path in unfinished_run.rglob("*")} == before
    # One that has only just begun.
    with RunDirectory(tmp_path / "new").sole_use():
        assert "is in use" in one_line(small_run(tmp_path / "new", tmp_path / "models"))


@pytest.fixture
def read_only(tmp_path):
    """A function that makes a folder read-only, for root, too."""
    made = []

    def mount(folder):
        command = ["mount", "--bind", "-o", "ro", str(folder), str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs to mount a file system")
        made.append(folder)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "file").write_text("")

    yield mount
    for folder in made:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
def test_read_only_data_are_trained_on(
    read_only, make_voc, train_voc, one_line, small_run, tmp_path
):
    devkit = make_voc(tmp_path / "data", num_train=6, num_val=3)
    (tmp_path / "disk").mkdir()
    read_only(devkit)
    read_only(tmp_path / "disk")
    for out, models in (("disk/run", "models"), ("a", "disk/models")):
        message = one_line(small_run(tmp_path / out, tmp_path / models, *EPOCH, data=devkit))
        assert str(tmp_path / "disk") in message and "Read-only file system" in message
    # What was trained goes elsewhere.
    arguments = small_run(tmp_path / "a", tmp_path / "models", *EPOCH, data=devkit)
    assert train_voc.main([*arguments, "--resume"]) == 0


@pytest.mark.long
def test_a_clock_that_goes_back(make_voc, train_voc, small_run, tmp_path, monkeypatch):
    devkit = make_voc(tmp_path / "data", num_train=6, num_val=3)
    year = 365 * 86400
    for picture in devkit.rglob("*.jpg"):
        os.utime(picture, (time.time() + year,) * 2)
    now = itertools.count(time.time(), -3600)
    monkeypatch.setattr(time, "time", lambda: next(now))
    places = ("--cache", str(tmp_path / "cache"))
    arguments = small_run(tmp_path / "a", tmp_path / "models", *places, *EPOCH, data=devkit)
    assert train_voc.main(arguments) == 0
    for file in (tmp_path / "a").rglob("*"):
        os.utime(file, (time.time() + year,) * 2)
    # Files that are of tomorrow are gone on with.
    (tmp_path / "a" / "model.keras").unlink()
    assert train_voc.main([*arguments, "--resume"]) == 0
    (row,) = RunDirectory(tmp_path / "a").read_history()
    assert float(row["seconds"]) > 0 and float(row["images_per_second"]) > 0


def test_the_same_seed_draws_and_orders_alike_in_every_process(voc):
    """With another hash of strings, as every process of Python has."""
    train = read_voc(voc, "train")
    observed = draw_single_positive(train.labels, seed=5, keys=train.keys)
    assert observed.sum() == len(train)
    digests = [
        subprocess.run(
            [sys.executable, "-c", DIGEST, voc],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert digests[0] == digests[1] and len(digests[0]) == 3 * 2 * 5
    batches = training_batches(train, observed, 8, 16, seed=6, epochs=2)
    index = np.concatenate([targets["index"] for _, targets in batches.as_numpy_iterator()])
    again = training_batches(train, observed, 8, 16, seed=5, epochs=2)
    others = np.concatenate([targets["index"] for _, targets in again.as_numpy_iterator()])
    assert (index != others).any()


@pytest.mark.long
def test_deterministic_runs_are_equal_to_the_last_bit(
    start_process, small_run, finished, weights_of, tmp_path
):
    options = ("--epochs", "2", "--deterministic", "--augment", "flip,crop", "--cache", "none")
    processes = [
        start_process(small_run(tmp_path / name, tmp_path / "models", *options), tmp_path)
        for name in ("a", "b")
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    one, other = (weights_of(tmp_path / name / "model.keras") for name in ("a", "b"))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    drawn = [(run / "observed.csv").read_text() for run in (tmp_path / "a", finished.out)]
    assert drawn[0] == drawn[1]

"""What stops a training run in the middle: a full disk, a loss of nan, Ctrl-C.

It gets one line, nothing half-written is left, and the run goes on later.
"""

import dataclasses
import json
import shutil
import signal
import subprocess

import pytest

from keras_patchpu import training


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unfinished_in(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".unfinished")]


def test_a_full_disk_while_training(
    one_line, train_voc, make_voc, small_run, files_of_at_most, tmp_path
):
    # 6 images in batches of 8.
    devkit = make_voc(tmp_path / "data", num_train=6, num_val=3)
    arguments = small_run(tmp_path / "a", tmp_path / "models", "--epochs", "1", data=devkit)
    with files_of_at_most(1_000_000):
        message = one_line(arguments)
    assert "epoch-0001.keras" in message and "--resume" in message
    assert list((tmp_path / "a" / "checkpoints").iterdir()) == []
    assert unfinished_in(tmp_path) == []

    assert train_voc.main([*arguments, "--resume"]) == 0
    assert (tmp_path / "models" / "a" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("limit", "missing"), [(1_000_000, "model.keras"), (500_000, "saved_model")]
)
def test_a_full_disk_after_training(
    one_line, finished, small_run, files_of_at_most, tmp_path, limit, missing
):
    shutil.copytree(finished.out, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    if missing == "model.keras":
        (tmp_path / "run" / "model.keras").unlink()
    with files_of_at_most(limit):
        message = one_line(small_run(tmp_path / "run", tmp_path / "models", "--resume"))
    assert str(tmp_path) in message
    assert unfinished_in(tmp_path) == []
    assert contents(tmp_path / "models") == {}


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a file system of some kilobytes; only root can."""
    place = tmp_path / "disk"

    def mount(kilobytes):
        place.mkdir(exist_ok=True)
        options = f"remount,size={kilobytes}k" if place.is_mount() else f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs to mount a file system")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(
    one_line, finished, train_voc, small_run, small_disk, assert_same_end
):
    place = small_disk(4)
    (place / "filler").write_bytes(bytes(4096))
    resume = small_run(place / "run", place / "models", "--resume")
    assert "No space left" in one_line(resume)
    (place / "filler").unlink()
    # The two checkpoints fit but not the model beside them; all fit but not the export.
    size = (finished.out / "model.keras").stat().st_size // 1024
    small_disk(size * 5 // 2)
    for name in ("config.json", "history.csv", "weak_negatives.json"):
        shutil.copy(finished.out / name, place / "run")
    shutil.copytree(finished.out / "checkpoints", place / "run" / "checkpoints")
    for kilobytes, file in ((size * 5 // 2, "model.keras"), (size * 13 // 4, "models/run/1")):
        small_disk(kilobytes)
        message = one_line(resume)
        assert str(place / file) in message or str(place / "run" / file) in message
        assert "No space left" in message
        assert unfinished_in(place) == []
    small_disk(100_000)
    assert train_voc.main(resume) == 0
    assert_same_end(finished.out, place / "run")


@pytest.mark.slow
def test_a_loss_that_is_no_number(one_line, small_run, tmp_path, monkeypatch):
    diverging = dataclasses.replace(training.RECIPES["small"], learning_rate=1e30)
    monkeypatch.setitem(training.RECIPES, "small", diverging)
    message = one_line(small_run(tmp_path / "a", tmp_path / "models"))
    # The first step, of the warm-up, has a rate of 0, so that the second one spoils the weights.
    assert "epoch 1, batch 3: the loss is nan" in message
    left = {path.name for path in (tmp_path / "a").iterdir()}
    assert left == {".lock", "config.json", "observed.csv", "tensorboard"}
    assert not (tmp_path / "models").exists()


def test_control_c(train_voc, small_run, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    assert train_voc.main(small_run(tmp_path / "a", tmp_path / "models")) == 130
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "--resume" in errors


@pytest.mark.long
def test_control_c_in_an_epoch(start_process, small_run, tmp_path):
    out = tmp_path / "run"
    process = start_process(small_run(out, tmp_path / "models", "--epochs", "400"), tmp_path)
    for line in process.stdout:
        if line.startswith("epoch   2/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.count("\n") == 1 and "--resume" in errors
    assert json.loads((out / "config.json").read_text())["epochs"] == 400
    assert unfinished_in(tmp_path) == []

"""SIGTERM: what is trained is saved, the exit code is 0, and the run goes on to the same end."""

import os
import re
import signal
import time

import pytest

# Reads each picture in three seconds.
SLOWLY = """
import os, runpy, sys, time
sys.argv.pop(0)
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import quiet_start
from keras_patchpu.data import loading
read = loading.read_encoded
loading.read_encoded = lambda *arguments: time.sleep(3) or read(*arguments)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def terminated_at(train_voc, monkeypatch, capsys):
    """Trains until a file that matches is about to get its name; what is said then."""

    def run(arguments, pattern):
        replace = os.replace

        def terminate(source, target):
            if re.search(pattern, str(target)):
                os.kill(os.getpid(), signal.SIGTERM)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", terminate)
            before = signal.getsignal(signal.SIGTERM)
            assert train_voc.main(arguments) == 0
            assert signal.getsignal(signal.SIGTERM) == before
        errors = capsys.readouterr().err
        assert errors.startswith("train_voc: stopped") and errors.count("\n") == 1
        return errors

    return run


@pytest.mark.long
def test_wherever_it_comes(
    finished, terminated_at, train_voc, small_run, assert_same_end, tmp_path
):
    out, models, cache = tmp_path / "run", tmp_path / "models", tmp_path / "cache"
    arguments = small_run(out, models, "--cache", str(cache), "--resume")
    checkpoints = out / "checkpoints"

    terminated_at(arguments, "pictures-.*npy$")
    assert list(cache.iterdir()) == [] and not out.exists()
    # The first epoch is trained and measured, but that is not on record yet.
    terminated_at(arguments, "epoch-0001.keras$")
    assert [path.name for path in checkpoints.glob("*.keras")] == ["epoch-0000-batch-000003.keras"]
    terminated_at(arguments, "model.keras$")
    assert not (out / "metrics.json").exists()
    terminated_at(arguments, "models/run/1$")
    assert list((models / "run").iterdir()) == []
    assert "the run has ended" in terminated_at(arguments, "report.html$")

    assert train_voc.main(arguments) == 0
    assert_same_end(finished.out, out)
    assert (out / "report.html").exists() and (models / "run" / "1").exists()
    assert not [path for path in tmp_path.rglob(".unfinished*")]


@pytest.mark.long
def test_at_any_moment_of_training(
    finished, start_process, train_voc, small_run, assert_same_end, tmp_path
):
    out = tmp_path / "run"
    process = start_process(small_run(out, tmp_path / "models"), tmp_path)
    assert next(line for line in process.stdout if line.startswith("epoch   1/"))
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - sent < 30
    assert process.returncode == 0
    assert errors == "train_voc: stopped; --resume goes on from there\n"
    assert train_voc.main(small_run(out, tmp_path / "models", "--resume")) == 0
    assert_same_end(finished.out, out)


@pytest.mark.slow
def test_while_pictures_are_read(start_process, small_run, tmp_path):
    arguments = small_run(tmp_path / "run", tmp_path / "models", "--cache", str(tmp_path / "cache"))
    process = start_process(arguments, tmp_path, code=SLOWLY)
    while not list(tmp_path.glob("cache/.unfinished-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=90)
    assert time.monotonic() - sent < 20  # 32 pictures would take longer on any two cores
    assert process.returncode == 0 and errors.count("\n") == 1
    assert list((tmp_path / "cache").iterdir()) == []
    assert not (tmp_path / "run").exists()

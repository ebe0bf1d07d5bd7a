"""A run that is killed with SIGKILL and resumed ends where one that ran through ends."""

import random
import re
import signal
import time

import pytest

from keras_patchpu.training import trainer

# Kills the process at an exact moment: where the file of that name takes its place, or after.
KILL_AT = """
import os, re, runpy, signal, sys
script, pattern, moment = sys.argv[1:4]
sys.argv = [script, *sys.argv[4:]]
replace = os.replace

def replace_and_die(source, target):
    dies = re.search(pattern, str(target))
    if not dies or moment == "after":
        replace(source, target)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace_and_die
sys.path.insert(0, os.path.dirname(script))
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def kill_at(start_process, tmp_path):
    """Runs the recipe until the file that a pattern matches is to be replaced, or has been."""

    def run(arguments, pattern, moment):
        process = start_process([pattern, moment, *arguments], tmp_path, code=KILL_AT)
        _, errors = process.communicate(timeout=240)
        assert process.returncode == -signal.SIGKILL, errors
        assert errors == ""

    return run


@pytest.fixture
def kill_when(start_process, tmp_path):
    """Runs the recipe and kills it some seconds after a file is there."""

    def run(arguments, file, seconds):
        process = start_process(arguments, tmp_path)
        try:
            while not file.exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.001)
            time.sleep(seconds)
        finally:
            process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL and errors == ""

    return run


def whole(folder):
    """The names of the files without those that a killed process did not finish."""
    return sorted(path.name for path in folder.glob("*") if not path.name.startswith("."))


def versions(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def resumed_at(printed):
    """The first epoch that was trained."""
    return int(re.search(r"^epoch +(\d+)/", printed, re.MULTILINE)[1])


def assert_complete(out, saved_models, *more):
    names = {"checkpoints", "config.json", "history.csv", "metrics.json", "model.keras", *more}
    names |= {".lock", "observed.csv", "report.html", "tensorboard"}
    assert names == {path.name for path in out.iterdir()}
    assert whole(out / "checkpoints") == ["epoch-0003.keras", "epoch-0004.keras"]
    assert versions(saved_models / out.name) == ["1"]


def test_killed_in_an_epoch(
    finished, kill_when, train_voc, small_run, assert_same_end, tmp_path, capsys
):
    out, models = tmp_path / "run", tmp_path / "models"
    seconds = random.uniform(0, 0.1)  # of an epoch that takes longer
    kill_when(small_run(out, models), out / "checkpoints" / "epoch-0002.keras", seconds)
    assert not (out / "model.keras").exists()
    assert train_voc.main(small_run(out, models, "--resume")) == 0
    assert resumed_at(capsys.readouterr().out) > 2
    assert_same_end(finished.out, out)
    assert_complete(out, models, "weak_negatives.json")


@pytest.mark.long
def test_killed_again_and_again(
    finished, kill_at, kill_when, train_voc, small_run, assert_same_end, tmp_path
):
    out, models = tmp_path / "run", tmp_path / "models"
    resume = small_run(out, models, "--resume")
    checkpoints, exported = out / "checkpoints", models / "run"

    # Before the run is there: it starts anew, even if it is asked to resume.
    kill_at(small_run(out, models), "config.json$", "before")
    assert whole(out) == []
    # At any moment of the start and of the first epoch.
    kill_when(resume, out / "config.json", random.uniform(0, 3))
    # The history has an epoch that no checkpoint has.
    kill_at(resume, "history.csv$", "after")
    ahead = len((out / "history.csv").read_text().splitlines()) - 1
    before = [f"epoch-{number:04d}.keras" for number in range(1, ahead)][-2:]
    assert whole(checkpoints) == before
    # So have the weak negatives.
    kill_at(resume, "weak_negatives.json$", "after")
    assert whole(checkpoints) == before
    # While a checkpoint is written.
    unfinished = checkpoints / f".unfinished-epoch-{ahead:04d}.keras"
    kill_when(resume, unfinished, random.uniform(0, 0.03))
    # A new checkpoint is there, and still both before.
    kill_at(resume, "epoch-0003.keras$", "after")
    assert whole(checkpoints)[-2:] == ["epoch-0002.keras", "epoch-0003.keras"]
    # Trained, and neither measured nor exported; in the middle of the export; after it.
    kill_at(resume, "model.keras$", "after")
    assert not (out / "metrics.json").exists() and not exported.exists()
    kill_at(resume, "models/run/1$", "before")
    assert versions(exported) == [".unfinished-1"]
    kill_at(resume, "models/run/1$", "after")
    assert versions(exported) == ["1"]

    assert train_voc.main(resume) == 0
    assert_same_end(finished.out, out)
    assert_complete(out, models, "weak_negatives.json")


@pytest.mark.long
def test_role_resumes_its_estimates(
    finish,
    kill_at,
    kill_when,
    weights_of,
    train_voc,
    small_run,
    assert_same_end,
    tmp_path,
    monkeypatch,
):
    finished = finish("--loss", "role")
    estimates = weights_of(finished.out / "model.keras")["loss/state/vars/0"]
    assert estimates.shape == (22, 20)

    out, models = tmp_path / "run", tmp_path / "models"
    arguments = small_run(out, models, "--loss", "role")
    kill_when(arguments, out / "checkpoints" / "epoch-0001.keras", random.uniform(0, 0.1))
    kill_at([*arguments, "--resume"], "epoch-0003.keras$", "before")
    # The rest is read from the files, as where the pictures do not fit into memory.
    monkeypatch.setattr(trainer, "MEMORY_BYTES", 0)
    assert train_voc.main([*arguments, "--resume", "--cache", "none"]) == 0
    assert_same_end(finished.out, out)
    assert_complete(out, models)

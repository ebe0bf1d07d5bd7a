"""What happens at the end of an epoch, and what the progress bar shows."""

import io
import sys

import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.training import Checkpoints, RunDirectory
from keras_patchpu.training.callbacks import EndOfEpoch, Progress
from keras_patchpu.training.tensorboard_log import TensorBoardLog


class Model:
    """Saves as a Keras model does."""

    def save(self, path):
        path.write_bytes(b"model")


@pytest.fixture
def end_of_epoch(digits_run, tmp_path):
    """A function that makes the callback of a run of 10 epochs on 8 images."""

    def make(logits=None, history=(), run=digits_run, **further):
        directory = RunDirectory(tmp_path / "run")
        directory.start({})
        logits = np.zeros((6, 10)) if logits is None else logits
        callback = EndOfEpoch(run, directory, lambda model: logits, list(history), **further)
        callback.set_model(Model())
        callback.on_train_begin()
        return callback

    return make


def one_epoch(callback, epoch, loss=0.5):
    callback.on_epoch_begin(epoch)
    callback.on_epoch_end(epoch, {"loss": loss})


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_an_epoch_is_kept_and_told(end_of_epoch, digits_run, capsys):
    callback = end_of_epoch(logits=digits_run.test.labels)  # all right
    one_epoch(callback, 0, loss=np.float32(0.25))
    one_epoch(callback, 1)
    directory = callback.directory
    rows = directory.read_history()
    assert [row["epoch"] for row in rows] == ["1", "2"]
    # Of the ten labels three are in no scene and count 0.
    assert digits_run.test.labels.any(axis=0).sum() == 7
    assert rows[0]["loss"] == "0.250000" and rows[0]["test_map"] == "70.000"
    assert Checkpoints(directory).positions() == [(2, 0), (1, 0)] and callback.saved == (2, 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("epoch   2/10  loss   0.500  test mAP  70.0  ")
    assert "images/s" in lines[1] and lines[1].endswith("left")


def test_who_is_told_of_an_epoch_finds_its_checkpoint(end_of_epoch):
    found = []

    def report(epoch):
        found.append((epoch, Checkpoints(callback.directory).positions()[0].epochs))

    callback = end_of_epoch(report=report)
    one_epoch(callback, 0)
    one_epoch(callback, 1)
    assert [number for _, number in found] == [1, 2]
    epochs = [epoch for epoch, _ in found]
    assert [epoch.row for epoch in epochs] == callback.history
    assert [epoch.epochs for epoch in epochs] == [10, 10]
    # By the fastest epoch of those that were made, for the first one holds the start.
    assert epochs[1].seconds_left == pytest.approx(8 * min(callback.seconds_an_epoch))


def test_the_scores_are_made_once_and_handed_on(end_of_epoch):
    handed = []
    logits = np.random.default_rng(0).normal(size=(6, 10))
    callback = end_of_epoch(
        logits,
        validate=lambda model: {"validation_map": "12.500"},
        diagnose=lambda model, epoch: {"weak_negatives/precision": 0.75},
        board=lambda *arguments: handed.append(arguments),
    )
    scored = []
    callback.score_test = lambda model: scored.append(model) or logits
    one_epoch(callback, 2)
    assert scored == [callback.model]
    ((model, epoch, figures, scores),) = handed
    assert model is callback.model and epoch == 3 and scores is logits
    assert figures.pop("images_per_second") > 0 and figures.pop("test_map") > 0
    assert figures == {"loss": 0.5, "validation_map": 12.5, "weak_negatives/precision": 0.75}


def test_without_truth_it_is_agreement(end_of_epoch, with_test_labels, digits_run, capsys):
    labels = np.where(digits_run.test.labels == 1, 1, -1)
    callback = end_of_epoch(labels, run=with_test_labels(labels, truth_known=False))
    one_epoch(callback, 0)
    assert callback.history[0]["held_out_lrap"] == "100.000"
    assert "  LRAP 100.0  " in capsys.readouterr().out


def test_a_resumed_run_keeps_the_rows_before(end_of_epoch):
    before = {"epoch": "1", "loss": "9", "test_map": "8", "images_per_second": "7", "seconds": "6"}
    callback = end_of_epoch(history=[before])
    one_epoch(callback, 1)
    rows = callback.directory.read_history()
    assert rows[0] == before and [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize(("loss", "logit"), [(np.nan, 0.0), (np.inf, 0.0), (0.5, np.nan)])
def test_what_is_no_number_ends_the_run(end_of_epoch, loss, logit):
    callback = end_of_epoch(np.full((6, 10), logit))
    with pytest.raises(InputError) as error:
        one_epoch(callback, 3, loss)
    message = str(error.value)
    assert "epoch 4" in message and "--batch-size" in message and "\n" not in message
    assert "history.csv" not in files_in(callback.directory.path)
    assert Checkpoints(callback.directory).positions() == []


def test_a_full_disk_under_tensorboard(
    end_of_epoch, with_test_labels, files_of_at_most, tmp_path, capsys
):
    # Without a label there are neither pictures nor curves, which take more than these bytes.
    run = with_test_labels(np.zeros((6, 10)))
    callback = end_of_epoch(run=run, board=TensorBoardLog(tmp_path / "tensorboard", run))
    with files_of_at_most(1000), pytest.raises(InputError) as error:
        for epoch in range(100):
            callback.history.clear()  # or its file is the first that is too large
            one_epoch(callback, epoch)
    message = str(error.value)
    assert "tensorboard" in message and "--resume" in message and "\n" not in message
    # The checkpoint comes first, so no epoch is lost.
    assert Checkpoints(callback.directory).positions()[0].epochs == epoch + 1
    assert len(capsys.readouterr().out.splitlines()) == epoch


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("terminal", [False, True])
def test_the_bar_is_for_terminals(monkeypatch, terminal):
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    bar = Progress(num_examples=20, batch_size=8, epochs=3)
    bar.on_epoch_begin(1)
    for batch in range(3):
        bar.on_train_batch_end(batch, {"loss": 0.25})
    shown = bar.bar.n
    bar.bar.refresh()
    bar.on_epoch_end(1)
    if not terminal:
        assert stderr.getvalue() == ""
    else:
        assert shown == 20  # the last batch has 4
        assert "epoch 2/3" in stderr.getvalue() and "20/20" in stderr.getvalue()
        assert "img/s" in stderr.getvalue() and "loss=0.250" in stderr.getvalue()

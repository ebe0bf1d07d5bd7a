"""What happens at the end of an epoch, and what the progress bar shows."""

import io
import sys

import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.training import Evaluation, RunDirectory
from keras_patchpu.training.callbacks import EndOfEpoch, Progress


class Model:
    """Saves as a Keras model does."""

    def save(self, path):
        path.write_bytes(b"model")


@pytest.fixture
def end_of_epoch(tmp_path):
    """A function that makes the callback of a run of 10 epochs on 40 images."""

    def make(mean_average_precision=50.0, history=()):
        directory = RunDirectory(tmp_path / "run")
        directory.start({})

        def evaluate(model):
            return Evaluation(("cat",), np.array([mean_average_precision]), np.array([1]), 9)

        callback = EndOfEpoch(directory, evaluate, 40, epochs=10, history=list(history))
        callback.set_model(Model())
        callback.on_train_begin()
        return callback

    return make


def one_epoch(callback, epoch, loss=0.5):
    callback.on_epoch_begin(epoch)
    callback.on_epoch_end(epoch, {"loss": loss})


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_an_epoch_is_kept_and_told(end_of_epoch, capsys):
    callback = end_of_epoch()
    one_epoch(callback, 0, loss=np.float32(0.25))
    one_epoch(callback, 1)
    run = callback.run
    assert [row["epoch"] for row in run.read_history()] == ["1", "2"]
    assert run.read_history()[0]["loss"] == "0.250000"
    assert run.read_history()[0]["test_map"] == "50.000"
    assert run.last_checkpoint() == (2, run.path / "checkpoints" / "epoch-0002.keras")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("epoch   2/10  loss   0.500  test mAP  50.0  ")
    assert "images/s" in lines[1] and lines[1].endswith("left")


def test_a_resumed_run_keeps_the_rows_before(end_of_epoch):
    before = {"epoch": "1", "loss": "9", "test_map": "8", "images_per_second": "7", "seconds": "6"}
    callback = end_of_epoch(history=[before])
    one_epoch(callback, 1)
    rows = callback.run.read_history()
    assert rows[0] == before and [row["epoch"] for row in rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("loss", "mean_average_precision"), [(np.nan, 50.0), (np.inf, 50.0), (0.5, np.nan)]
)
def test_what_is_no_number_ends_the_run(end_of_epoch, loss, mean_average_precision):
    callback = end_of_epoch(mean_average_precision)
    with pytest.raises(InputError) as error:
        one_epoch(callback, 3, loss)
    message = str(error.value)
    assert "epoch 4" in message and "--batch-size" in message and "\n" not in message
    assert "history.csv" not in files_in(callback.run.path)
    assert callback.run.last_checkpoint() == (0, None)


def test_a_full_disk_under_tensorboard(end_of_epoch, files_of_at_most):
    callback = end_of_epoch()
    with files_of_at_most(1000), pytest.raises(InputError) as error:
        for epoch in range(100):
            callback.history.clear()  # or its file is the first that is too large
            one_epoch(callback, epoch)
    message = str(error.value)
    assert "tensorboard" in message and "--resume" in message and "\n" not in message
    # The checkpoint comes first, so no epoch is lost.
    assert callback.run.last_checkpoint()[0] == epoch + 1


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

"""What happens while a model trains: a progress bar, and the end of each epoch."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np
import tqdm

from keras_patchpu.errors import InputError
from keras_patchpu.training.checkpoints import Checkpoints, EpochSoFar, Position
from keras_patchpu.training.evaluation import measure_scores
from keras_patchpu.training.finished_epoch import FinishedEpoch, print_line
from keras_patchpu.training.run import Run
from keras_patchpu.training.run_directory import RunDirectory

# Going on would come to the same batch again.
_OTHERWISE = (
    "start anew with another --batch-size, --seed or --recipe; the checkpoints before are kept"
)


class Progress(keras.callbacks.Callback):
    """A bar an epoch with images a second and the time left in it."""

    def __init__(self, num_examples, batch_size, epochs, num_batches=0):
        super().__init__()
        self.num_batches = num_batches  # that are done of the first epoch
        self.num_examples = num_examples
        self.batch_size = batch_size
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = tqdm.tqdm(
            total=self.num_examples,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            unit="img",
            leave=False,
            disable=None,  # shown on a terminal only
            initial=self.num_batches * self.batch_size,
        )
        self.num_batches = 0

    def on_train_batch_end(self, batch, logs=None):
        if logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
        self.bar.update(min(self.batch_size, self.num_examples - self.bar.n))

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()


class FiniteLoss(keras.callbacks.Callback):
    """Stops at the first batch whose loss is not a number, or infinite.

    Args:
        run: what is trained on what.
        num_batches: that are done of the first epoch.
    """

    def __init__(self, run: Run, num_batches: int = 0):
        super().__init__()
        self.run = run
        self.num_batches = num_batches

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.num_batches += 1
        # The mean over the epoch so far, which stays what it is once it is no number.
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise InputError(
                f"epoch {self.epoch + 1}, batch {self.num_batches}: the loss is {loss}: "
                f"{_OTHERWISE}"
            )

    def on_epoch_end(self, epoch, logs=None):
        self.num_batches = 0


class EndOfEpoch(keras.callbacks.Callback):
    """Measures the model on the test split, writes history and checkpoint, and reports.

    Args:
        run: what is trained on what.
        directory: to write to.
        score_test: gives the logits `(N, L)` of a model on the N test images.
        history: rows of the epochs that are done.
        report: told of each epoch, once it cannot be lost any more.
        validate: gives further columns of the history.
        diagnose: looks at the model after a number of epochs, and gives figures for `board`.
        board: is handed the model, the number of epochs, all figures of the epoch by name, and the
            logits of the test images.
        so_far: what was trained before of the first of these epochs.
        measured: gives the model to measure in place of the one that trains.

    Attributes:
        saved: the checkpoint that it wrote last.
    """

    def __init__(
        self,
        run: Run,
        directory: RunDirectory,
        score_test: Callable[[keras.Model], np.ndarray],
        history: list[dict],
        report: Callable[[FinishedEpoch], None] = print_line,
        validate: Callable[[keras.Model], dict[str, str]] | None = None,
        diagnose: Callable[[keras.Model, int], dict[str, float]] | None = None,
        board: Callable[[keras.Model, int, dict[str, float], np.ndarray], None] | None = None,
        so_far: EpochSoFar | None = None,
        measured: Callable[[keras.Model], keras.Model] | None = None,
    ):
        super().__init__()
        self.run = run
        self.directory = directory
        self.score_test = score_test
        self.history = history
        self.report = report
        self.validate = validate
        self.diagnose = diagnose
        self.board = board
        self.measured = measured
        self.saved = Position()
        self.seconds_before = so_far.seconds if so_far else 0.0
        self.seconds_an_epoch = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic() - self.seconds_before
        self.seconds_before = 0.0

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["loss"])
        train_seconds = time.monotonic() - self.started
        test = self.run.test
        model = self.measured(self.model) if self.measured else self.model
        logits = self.score_test(model)
        evaluation = measure_scores(test.label_names, test.labels, logits, test.truth_known)
        # Scores that are not numbers: the last step spoilt the weights, the mean loss is older.
        if not math.isfinite(loss + evaluation.headline):
            raise InputError(
                f"epoch {epoch + 1} ended with a loss of {loss} and a {evaluation.title} of "
                f"{evaluation.headline}: {_OTHERWISE}"
            )
        row = {
            "epoch": epoch + 1,
            "loss": f"{loss:.6f}",
            evaluation.column: f"{evaluation.headline:.3f}",
            **(self.validate(model) if self.validate else {}),
            "images_per_second": f"{len(self.run.train) / train_seconds:.2f}",
            "seconds": f"{time.monotonic() - self.started:.1f}",
        }
        self.history.append(row)
        self.directory.write_history(self.history)
        figures = self.diagnose(model, epoch + 1) if self.diagnose else {}
        Checkpoints(self.directory).save(self.model, Position(epoch + 1))
        self.saved = Position(epoch + 1)
        if self.board:
            columns = {name: float(row[name]) for name in row if name not in ("epoch", "seconds")}
            self.board(model, epoch + 1, {**columns, **figures}, logits)

        self.seconds_an_epoch.append(time.monotonic() - self.started)
        left = min(self.seconds_an_epoch) * (self.run.recipe.epochs - epoch - 1)
        self.report(FinishedEpoch(row, self.run.recipe.epochs, evaluation, left))

"""What happens while a model trains: a progress bar, and the end of each epoch."""

import importlib.util
import math
import time
from collections.abc import Callable

import keras
import tqdm

from keras_patchpu.errors import InputError
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.evaluation import Evaluation
from keras_patchpu.training.run_directory import RunDirectory


class Progress(keras.callbacks.Callback):
    """A bar an epoch with images a second and the time left in it."""

    def __init__(self, num_examples, batch_size, epochs):
        super().__init__()
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
        )

    def on_train_batch_end(self, batch, logs=None):
        if logs:
            self.bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)
        self.bar.update(min(self.batch_size, self.num_examples - self.bar.n))

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()


class EndOfEpoch(keras.callbacks.Callback):
    """Measures the model on the test split, writes history and checkpoint, prints a line.

    Args:
        run: the directory to write to.
        evaluate: measures the model.
        num_examples: number of training images.
        epochs: number of epochs of the whole run.
        history: rows of the epochs that are done.
        validate: gives further columns of the history.
        diagnose: looks at the model after a number of epochs, and gives figures for TensorBoard.
    """

    def __init__(
        self,
        run: RunDirectory,
        evaluate: Callable[[keras.Model], Evaluation | Agreement],
        num_examples: int,
        epochs: int,
        history: list[dict],
        validate: Callable[[keras.Model], dict[str, str]] | None = None,
        diagnose: Callable[[keras.Model, int], dict[str, float]] | None = None,
    ):
        super().__init__()
        self.run = run
        self.evaluate = evaluate
        self.num_examples = num_examples
        self.epochs = epochs
        self.history = history
        self.validate = validate
        self.diagnose = diagnose

    def on_train_begin(self, logs=None):
        self.board = _tensorboard_writer(self.run.path / "tensorboard")
        self.seconds_an_epoch = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["loss"])
        train_seconds = time.monotonic() - self.started
        evaluation = self.evaluate(self.model)
        # Scores that are not numbers: the last step spoilt the weights, the mean loss is older.
        if not math.isfinite(loss + evaluation.headline):
            raise InputError(
                f"epoch {epoch + 1} ended with a loss of {loss} and a {evaluation.title} of "
                f"{evaluation.headline}: start anew with another --batch-size, --seed or --recipe"
            )
        speed = self.num_examples / train_seconds
        row = {
            "epoch": epoch + 1,
            "loss": f"{loss:.6f}",
            evaluation.column: f"{evaluation.headline:.3f}",
            **(self.validate(self.model) if self.validate else {}),
            "images_per_second": f"{speed:.2f}",
            "seconds": f"{time.monotonic() - self.started:.1f}",
        }
        self.history.append(row)
        self.run.write_history(self.history)
        figures = self.diagnose(self.model, epoch + 1) if self.diagnose else {}
        self.run.save_checkpoint(self.model, epoch + 1)
        if self.board is not None:
            self.board({**row, **figures}, epoch + 1)

        self.seconds_an_epoch.append(time.monotonic() - self.started)
        left = min(self.seconds_an_epoch) * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1:3d}/{self.epochs}  loss {loss:7.3f}  "
            f"{evaluation.title} {evaluation.headline:5.1f}  {speed:6.1f} images/s  "
            f"{tqdm.tqdm.format_interval(left)} left",
            flush=True,
        )


def _tensorboard_writer(path):
    """A function that logs the figures of an epoch, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(path))

    def write(row, epoch):
        try:
            with writer.as_default(step=epoch):
                for name in row.keys() - {"epoch", "seconds"}:
                    tf.summary.scalar(name, float(row[name]))
            writer.flush()
        except tf.errors.OpError as error:
            reason = error.message.strip().split("\n")[0]
            raise InputError(
                f"{path} cannot be written ({reason}): see to the disk, then go on with --resume"
            ) from error

    return write

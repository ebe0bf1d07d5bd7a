"""What TensorBoard shows of a run."""

import importlib.util
import pathlib

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit

from keras_patchpu.errors import InputError
from keras_patchpu.training.run import Run
from keras_patchpu.training.sample_pictures import SamplePictures

# TensorBoard shows ten pictures of a series unless it is told otherwise.
MOST_PICTURES = 10
# More than these would be a page that nobody scrolls through: as many as VOC has.
MOST_CURVES = 20
MICRO = "all labels together (micro)"


def tensorboard_log(path: pathlib.Path, run: Run) -> "TensorBoardLog | None":
    """The log of a run in that folder, or None where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    return TensorBoardLog(path, run)


class TensorBoardLog:
    """Writes an event file, an epoch with each call. What is in there:

    * a scalar for each figure of the epoch;
    * `pictures/KEY/LABEL`: `SamplePictures` of the test split, in at most `MOST_PICTURES` epochs;
    * `pr_curves/LABEL`: precision and recall on the test images at 201 thresholds, of all labels
      together and of the `MOST_CURVES` most frequent ones, where the truth is known.

    Args:
        path: the folder; a resumed run adds another file to it.
        run: N test images, L labels.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, path: pathlib.Path, run: Run):
        recipe = run.recipe
        self.path = path
        self.test = run.test
        self.epochs = recipe.epochs
        self.pictures = SamplePictures(run.test, recipe.image_size, recipe.resize)
        self.writer = self._writing(tf.summary.create_file_writer, str(path))

    def __call__(
        self, model: keras.Model, epoch: int, figures: dict[str, float], logits: np.ndarray
    ) -> None:
        """Writes what there is to see of the model after `epoch` epochs.

        Args:
            model: as it is.
            epoch: counted from 1.
            figures: by the names of their charts.
            logits: `(N, L)` of the test images.

        Raises:
            InputError: the file cannot be written.
        """
        self._writing(self._write, model, epoch, figures, logits)

    def _write(self, model, epoch, figures, logits):
        with self.writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
            if shows_pictures(epoch, self.epochs):
                for key, label, overlay in self.pictures.draw(model, logits):
                    tf.summary.image(f"pictures/{key}/{label}", np.asarray(overlay)[None])
            if self.test.truth_known:
                self._write_curves(expit(logits.astype("float64")))
        self.writer.flush()

    def _write_curves(self, scores):
        # Like all that TensorBoard brings, it may not be there when this file is read.
        from tensorboard.plugins.pr_curve import summary

        labels, names = self.test.labels, self.test.label_names
        columns = most_frequent(labels)
        groups = {MICRO: slice(None)} if len(columns) else {}
        for name, group in (groups | {names[column]: column for column in columns}).items():
            truth, group_scores = labels[:, group], scores[:, group]
            known = truth >= 0
            curve = summary.pb(
                f"pr_curves/{name}", truth[known] == 1, group_scores[known], display_name=name
            )
            tf.summary.experimental.write_raw_pb(curve.SerializeToString())

    def _writing(self, function, *arguments):
        try:
            return function(*arguments)
        except tf.errors.OpError as error:
            reason = error.message.strip().split("\n")[0]
            raise InputError(
                f"{self.path} cannot be written ({reason}): see to the disk, then go on with "
                "--resume"
            ) from error


def shows_pictures(epoch: int, epochs: int) -> bool:
    """Whether pictures are written after that epoch, counted from 1; always after the last one."""
    count = min(epochs, MOST_PICTURES)
    return epoch * count // epochs > (epoch - 1) * count // epochs


def most_frequent(labels: np.ndarray) -> np.ndarray:
    """The columns with the most positives, at most `MOST_CURVES` and none without any.

    Args:
        labels: `(N, L)`: 1 present, 0 absent, -1 unknown.
    """
    counts = (labels == 1).sum(axis=0)
    columns = np.argsort(-counts, kind="stable")[:MOST_CURVES]
    return columns[counts[columns] > 0]

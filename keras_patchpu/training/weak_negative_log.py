"""What the weak negatives of a run of `wn` are worth, epoch by epoch."""

import json
from collections.abc import Sequence

import keras
import numpy as np

from keras_patchpu.data import evaluation_batches
from keras_patchpu.data.single_positive import hash_key
from keras_patchpu.errors import InputError
from keras_patchpu.losses import weak_negatives
from keras_patchpu.metrics import weak_negative_report
from keras_patchpu.training.run import Run
from keras_patchpu.training.run_directory import RunDirectory

FILE = "weak_negatives.json"

# They are scored after every epoch, which takes less than 4% of it with the small recipe on 3,477
# images. With 20 labels they are 9,500 unobserved entries; a tenth of these tells a precision of
# 95% to about a percent.
NUM_IMAGES = 500

# What is read of each row.
_READ = {
    *("epoch", "unobserved", "weak_negatives", "base_rate", "precision", "weighted_precision"),
    *("recall", "tenths", "labels"),
}


class WeakNegativeLog:
    """Writes `weak_negatives.json`, `{"num_images": n, "epochs": [row, ...]}`, a row an epoch.

    A row is `{"epoch": number, ...}` with what `weak_negative_report` says of `NUM_IMAGES` of the
    training images, by their observed labels and by the model as it is at the end of the epoch:
    in inference mode and on images that are not augmented. It is written before the checkpoint of
    its epoch, as the history is; a resumed run drops the rows that no checkpoint has.

    Args:
        run: with `loss="wn"`, on training images whose truth is known.
        directory: of the run.
        num_epochs: the epochs of the checkpoint that the run goes on from.
        cached: the training images as `load_images` returns them, or None to read the files.
    """

    def __init__(
        self, run: Run, directory: RunDirectory, num_epochs: int, cached: np.ndarray | None
    ):
        self.run = run
        self.directory = directory
        self.rows = sample_rows(run.train.keys)
        recipe = run.recipe
        # Once, for TensorFlow keeps a little of each as long as it lives.
        self.batches = evaluation_batches(
            run.train, recipe.batch_size, recipe.image_size, recipe.resize, cached, self.rows
        )
        written = read_weak_negatives(directory)
        # As text, which takes a third of the memory: a run may have thousands of epochs.
        self.epochs = [json.dumps(row) for row in written if row["epoch"] <= num_epochs]

    def __call__(self, model: keras.Model, epoch: int) -> dict[str, float]:
        """Measures the model after `epoch` epochs and writes all rows; gives what to plot.

        Raises:
            InputError: the file cannot be written.
        """
        train = self.run.train
        report = weak_negative_report(
            train.labels[self.rows],
            self.run.observed[self.rows],
            self._weak_negatives(model),
            train.label_names,
        )
        self.epochs.append(json.dumps({"epoch": epoch, **report}))
        self.directory.write_lines(FILE, self._lines())
        figures = {f"weak_negatives/{name}": report[name] for name in ("precision", "recall")}
        return {name: figure for name, figure in figures.items() if figure is not None}

    def _lines(self):
        yield f'{{"num_images": {len(self.rows)}, "epochs": [\n'
        for number, row in enumerate(self.epochs):
            yield (",\n" if number else "") + row
        yield "\n]}\n"

    def _weak_negatives(self, model):
        """The weights `(NUM_IMAGES, L)` that the loss would give."""
        # Batch by batch, for the embeddings of 1,000 labels and 500 images are 512 MB.
        negatives = []
        for images, targets in self.batches.as_numpy_iterator():
            embeddings = model.predict_on_batch(images)["image_embeddings"]
            observed = self.run.observed[targets["index"]]
            # In float32, as Keras hands it to the loss.
            embeddings = keras.ops.cast(embeddings, "float32")
            weights = weak_negatives(observed, embeddings, model.loss.theta)
            negatives.append(keras.ops.convert_to_numpy(weights))
        return np.concatenate(negatives)


def read_weak_negatives(directory: RunDirectory) -> list[dict]:
    """The rows of `weak_negatives.json`, none where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    if not (directory.path / FILE).exists():
        return []
    rows = directory.read_json(FILE).get("epochs")
    if not isinstance(rows, list) or not all(map(_is_row, rows)):
        raise InputError(f"{directory.path / FILE} is damaged (not a row an epoch): delete it")
    return rows


def _is_row(row):
    return isinstance(row, dict) and _READ <= row.keys() and isinstance(row["epoch"], int)


def sample_rows(keys: Sequence[str]) -> np.ndarray:
    """The rows of `NUM_IMAGES` images, or of all if there are fewer, in ascending order.

    By a hash of the keys: they are the same in every epoch, after a resume, and for every seed.
    """
    hashes = np.array([hash_key(0, f"weak negatives {key}") for key in keys], "uint64")
    return np.sort(np.argsort(hashes, kind="stable")[:NUM_IMAGES])

"""One run of ablations.py: a variant of the base, trained from a seed and measured."""

import contextlib
import dataclasses
import os
import pathlib
import re
import statistics

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf
from ablated_classifier import AblatedClassifier
from ablation_studies import Variant

from keras_patchpu import data, losses, training
from keras_patchpu.metrics import weak_negative_report
from keras_patchpu.training import trainer
from keras_patchpu.training.evaluation import Scorer

RESULT = "result.json"


class AblationRun:
    """A variant with a seed.

    Args:
        label: what the variant is called.
        variant: what it changes.
        base: the run of the base with that seed.
        runs: the directory in which it gets one.
    """

    def __init__(self, label: str, variant: Variant, base: training.Run, runs: pathlib.Path):
        self.label = label
        self.variant = variant
        recipe = dataclasses.replace(base.recipe, **variant.recipe)
        self.run = dataclasses.replace(base, loss=variant.loss, recipe=recipe)
        self.name = f"{re.sub(r'[^a-zA-Z0-9.]+', '_', label)}-{base.seed}"
        self.directory = training.RunDirectory(runs / self.name)

    def __str__(self):
        return f"{self.label}, seed {self.run.seed}"

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return (self.directory.path / RESULT).exists()

    def read_result(self) -> dict:
        """What `train` returned."""
        return self.directory.read_json(RESULT)

    def config(self) -> dict:
        """What decides the result, as JSON values."""
        options = {"loss_options": self.variant.loss_options, "parts": self.variant.parts}
        return {**self.run.config(), **options}

    def check(self) -> None:
        """Raises InputError where the run was begun with other settings."""
        if (self.directory.path / "config.json").exists():
            self.directory.check_same(self.config(), "give the same options, or another --runs")

    def make_model(self) -> AblatedClassifier:
        """The compiled model at the start."""
        run, recipe = self.run, self.run.recipe
        keras.utils.set_random_seed(run.seed)
        model = AblatedClassifier(
            num_labels=len(run.train.label_names),
            image_size=recipe.image_size,
            patch_size=recipe.patch_size,
            num_levels=recipe.num_levels,
            embedding_dim=recipe.embedding_dim,
            **self.variant.parts,
        )
        loss = losses.get(run.loss, **self.variant.loss_options)
        model.compile(training.make_optimizer(recipe, len(run.train)), loss=loss)
        return model

    def train(self, cache: data.PictureCache, command: str) -> dict:
        """Trains the epochs that are not done, measures, and writes and returns the result.

        Raises:
            InputError: a picture cannot be read, a file cannot be written, the loss is not a
                number, or another process trains it.
        """
        with self.directory.sole_use():
            return self._train(cache, command)

    def _train(self, cache, command):
        run, recipe, directory = self.run, self.run.recipe, self.directory
        cached_train, cached_test = training.load_or_check([run.train, run.test], recipe, cache)
        directory.start(self.config())
        keras.utils.clear_session()  # the graphs of the runs before
        position, so_far, model = training.Checkpoints(directory).load()
        model = model or self.make_model()
        if position.epochs < recipe.epochs:
            facts = (recipe.batch_size, recipe.image_size, recipe.resize)
            score_test = Scorer(run.test, *facts, cached_test)
            with (
                open(directory.path / "log.txt", "a", encoding="utf-8") as log,
                contextlib.redirect_stdout(log),
            ):
                trainer.fit(run, model, directory, position, so_far, score_test, None, cached_train)
        history = directory.read_history()
        by_epoch = [float(row["test_map"]) for row in history]
        result = {
            "label": self.label,
            "seed": run.seed,
            "test_map": by_epoch[-1],
            "test_map_by_epoch": by_epoch,
            **measure_embeddings(model, run, cached_test),
            "parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables),
            "patches": sum(rows * columns for rows, columns in model.attention_grids),
            "images_per_second": statistics.median(
                float(row["images_per_second"]) for row in history
            ),
            "seconds": round(sum(float(row["seconds"]) for row in history), 1),
            "config": self.config(),
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
            "cores": len(os.sched_getaffinity(0)),
            "gpus": len(tf.config.list_physical_devices("GPU")),
            "command": command,
        }
        directory.write_json(RESULT, result)
        return result


def measure_embeddings(
    model: keras.Model, run: training.Run, cached: np.ndarray | None
) -> dict[str, float | None]:
    """What the embeddings of a model's test images say of absent labels, as JSON values.

    One positive an image is taken for observed, as in training, and the weak negatives of the
    others are computed with the theta of the loss, or with 0 where it has none.

    * `weak_negative_of_absent`, `weak_negative_of_hidden_positives`: their means.
    * `weak_negative_precision`, `weak_negative_recall`: see `weak_negative_report`.
    * `mean_absolute_cosine`: of the embeddings of two labels in an image.
    """
    recipe, test = run.recipe, run.test
    observed = data.draw_single_positive(test.labels, run.seed, keys=test.keys)
    rows = np.flatnonzero(observed.any(axis=1))
    batches = data.evaluation_batches(
        test, recipe.batch_size, recipe.image_size, recipe.resize, cached, rows
    )
    theta = getattr(model.loss, "theta", 0.0)
    negatives, cosines = [], []
    for images, targets in batches.as_numpy_iterator():
        embeddings = model.predict_on_batch(images)["image_embeddings"]
        weights = losses.weak_negatives(observed[targets["index"]], embeddings, theta)
        negatives.append(keras.ops.convert_to_numpy(weights))
        norms = np.linalg.norm(embeddings, axis=-1, keepdims=True)
        directions = embeddings / np.maximum(norms, 1e-12)
        similarity = np.abs(directions @ directions.swapaxes(1, 2))
        pairs = ~np.eye(similarity.shape[1], dtype=bool)
        cosines.append(similarity[:, pairs].mean(axis=1))
    negatives = np.clip(np.concatenate(negatives), 0, 1)  # a cosine of 1 may be rounded up
    labels, observed = test.labels[rows], observed[rows]
    report = weak_negative_report(labels, observed, negatives, test.label_names)
    hidden = (labels == 1) & (observed == 0)
    return {
        "weak_negative_of_absent": report["weighted_recall"],
        "weak_negative_of_hidden_positives": _mean(negatives[hidden]),
        "weak_negative_precision": report["precision"],
        "weak_negative_recall": report["recall"],
        "mean_absolute_cosine": _mean(np.concatenate(cosines)),
    }


def objects_cut(run: training.Run) -> float | None:
    """The share of the test split's boxes that lie in no single patch of the finest level.

    None where there are no boxes.
    """
    boxes = np.concatenate([np.zeros((0, 4)), *run.test.boxes])
    patch = run.recipe.patch_size / run.recipe.image_size
    # Boxes are float32, and those that end at a patch's edge are whole.
    first = np.floor(boxes[:, :2] / patch + 1e-4)
    last = np.floor(boxes[:, 2:] / patch - 1e-4)
    return _mean((first != last).any(axis=1))


def _mean(values):
    return round(float(values.mean()), 6) if len(values) else None

"""One training run, from data to a measured and exported model."""

import dataclasses
import functools
import math
import pathlib
import resource

import numpy as np

from keras_patchpu.data import (
    Examples,
    PictureCache,
    load_images,
    training_batches,
    write_observed,
)
from keras_patchpu.metrics import average_precision
from keras_patchpu.serving import export, next_version
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.callbacks import EndOfEpoch, Progress
from keras_patchpu.training.compiled_model import make_model
from keras_patchpu.training.evaluation import Evaluation, evaluate, score
from keras_patchpu.training.recipe import Recipe
from keras_patchpu.training.run import Run
from keras_patchpu.training.run_directory import (
    RunDirectory,
    load_model,
    save_model,
)
from keras_patchpu.training.weak_negative_log import WeakNegativeLog

# Without a cache on disk pictures are kept in memory if they fit into this.
MEMORY_BYTES = 4 * 2**30


def train(
    run: Run, out: str, resume: bool, saved_models: str, cache: PictureCache | None = None
) -> tuple[Evaluation | Agreement, pathlib.Path]:
    """Trains, measures and exports; prints a line an epoch and writes `out` as it goes.

    Killed at any moment and called again with `resume`, it ends with the weights that it would
    have ended with, and one SavedModel.

    Args:
        run: what to train.
        out: the run's directory.
        resume: go on with what is in `out`.
        saved_models: the SavedModel goes to `saved_models/<name of out>/1`, or to the next number
            if another run's is there.
        cache: keeps resized pictures from run to run.

    Returns:
        What `evaluate` says of the trained model on `run.test`, and the path of the SavedModel.

    Raises:
        InputError: see `RunDirectory.check` and `load_images`; a file cannot be written; the loss
            is not a number.
    """
    recipe = run.recipe
    directory = RunDirectory(out)
    directory.check(run.config(), resume)
    splits = [run.train, run.test] + ([run.validation] if run.validation is not None else [])
    cached_train, cached_test, *cached_validation = load_or_check(splits, recipe, cache)
    directory.start(run.config())
    if run.draw != "given":
        write_observed(directory.path / "observed.csv", *_drawn(run))

    measure = functools.partial(
        evaluate,
        examples=run.test,
        batch_size=recipe.batch_size,
        resize=recipe.resize,
        cached=cached_test,
    )
    validate = None
    if run.validation is not None:
        validate = functools.partial(_validate, run=run, cached=cached_validation[0])
    num_epochs, checkpoint = directory.last_checkpoint()
    model = load_model(checkpoint) if checkpoint else make_model(run)
    if num_epochs < recipe.epochs:
        fit(run, model, directory, num_epochs, measure, validate, cached_train)
    save_model(model, directory.model_path)

    evaluation = measure(model)
    target = write_metrics(directory, evaluation, pathlib.Path(saved_models))
    if not target.exists():
        export(model, target.parent, run.train.label_names, int(target.name), recipe.resize)
    return evaluation, target


def write_metrics(
    directory: RunDirectory, evaluation: Evaluation, saved_models: pathlib.Path
) -> pathlib.Path:
    """Writes `metrics.json`, once, and gives the path of the run's SavedModel.

    The path is on record before the SavedModel is there, so that a run killed in between finds
    its own again rather than takes the next version.
    """
    if (directory.path / "metrics.json").exists():
        metrics = directory.read_json("metrics.json")
    else:
        rows = directory.read_history()
        metrics = {
            **evaluation.as_dict(),
            "images_per_second": np.median([float(row["images_per_second"]) for row in rows]),
            "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        }
    folder = saved_models / directory.path.resolve().name
    target = pathlib.Path(metrics.get("saved_model", ""))
    if target.parent != folder:
        target = folder / str(next_version(folder))
    directory.write_json("metrics.json", {**metrics, "saved_model": str(target)})
    return target


def load_or_check(
    splits: list[Examples], recipe: Recipe, cache: PictureCache | None
) -> list[np.ndarray | None]:
    """The resized pictures of the splits, from the cache or, without one, in memory.

    None for a split that is too large: its pictures are checked, and read anew in every epoch.
    """
    size = recipe.image_size
    if cache is not None:
        return [cache.get(split, size, recipe.resize) for split in splits]
    keep = 3 * size**2 * sum(map(len, splits)) <= MEMORY_BYTES
    return [load_images(split, size, recipe.resize, keep) for split in splits]


def fit(run, model, directory, num_epochs, measure, validate, cached) -> None:
    """Trains the epochs that are left after `num_epochs`."""
    recipe = run.recipe
    batches = training_batches(
        run.train,
        run.observed,
        batch_size=recipe.batch_size,
        size=recipe.image_size,
        resize=recipe.resize,
        seed=run.seed,
        first_epoch=num_epochs,
        epochs=recipe.epochs,
        supervised=model.loss.supervised,
        cached=cached,
        augment=recipe.augment,
    )
    history = directory.read_history(num_epochs)
    diagnose = None
    if run.loss == "wn" and run.train.truth_known:
        diagnose = WeakNegativeLog(run, directory, num_epochs, cached)
    end_of_epoch = EndOfEpoch(
        directory, measure, len(run.train), recipe.epochs, history, validate, diagnose
    )
    model.fit(
        batches,
        initial_epoch=num_epochs,
        epochs=recipe.epochs,
        steps_per_epoch=math.ceil(len(run.train) / recipe.batch_size),
        shuffle=False,  # the batches are
        verbose=0,
        callbacks=[
            Progress(len(run.train), recipe.batch_size, recipe.epochs),
            end_of_epoch,
        ],
    )


def _drawn(run):
    """All images that had a positive drawn, those held out too: the draw can be repeated."""
    if run.validation is None:
        return run.train, run.observed
    keys = run.train.keys + run.validation.keys
    observed = np.concatenate([run.observed, run.validation_observed])
    return dataclasses.replace(run.train, keys=keys), observed


def _validate(model, run, cached):
    """Columns of the history: mAP on the validation images by their truth, and by what is observed.

    Observed labels alone take what is not observed for negative, as who has no truth must.
    """
    recipe = run.recipe
    logits = score(model, run.validation, recipe.batch_size, recipe.resize, cached)
    truths = {
        "validation_map": run.validation.labels,
        "validation_observed_map": run.validation_observed == 1,
    }
    return {
        name: f"{100 * float(np.mean(average_precision(labels, logits))):.3f}"
        for name, labels in truths.items()
    }

"""One training run, from data to a measured and exported model."""

import dataclasses
import functools
import hashlib
import math
import pathlib
import resource

import keras
import numpy as np

from keras_patchpu import losses
from keras_patchpu.data import (
    Examples,
    PictureCache,
    load_images,
    training_batches,
    write_observed,
)
from keras_patchpu.errors import InputError
from keras_patchpu.models import PatchClassifier
from keras_patchpu.serving import export, next_version
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.callbacks import EndOfEpoch, Progress
from keras_patchpu.training.evaluation import Evaluation, evaluate
from keras_patchpu.training.recipe import Recipe, make_optimizer
from keras_patchpu.training.run_directory import (
    RunDirectory,
    load_model,
    save_model,
)

# Without a cache on disk pictures are kept in memory if they fit into this.
MEMORY_BYTES = 4 * 2**30


@dataclasses.dataclass(frozen=True)
class Run:
    """What is trained on what.

    Attributes:
        train: N images.
        test: images with full truth, measured after every epoch.
        observed: `(N, L)`, one observed positive an image.
        draw: how it was drawn, see `data.observe`.
        loss: name of the loss.
        recipe: the rest.
        seed: of the weights and the shuffle.
        expected_positives: k of `epr` and `role`.
    """

    train: Examples
    test: Examples
    observed: np.ndarray
    draw: str
    loss: str
    recipe: Recipe
    seed: int
    expected_positives: float

    def config(self) -> dict:
        """What decides the result, as JSON values."""
        return {
            "data": self.train.name,
            "num_train": len(self.train),
            "num_test": len(self.test),
            "loss": self.loss,
            "seed": self.seed,
            "expected_positives": self.expected_positives,
            **dataclasses.asdict(self.recipe),
            "augment": list(self.recipe.augment),  # as JSON gives it back
            "draw": self.draw,
            "observed": hashlib.blake2b(self.observed.tobytes(), digest_size=8).hexdigest(),
            "label_names": list(self.train.label_names),
        }


def read_config(directory: RunDirectory) -> tuple[Recipe, dict]:
    """The recipe of a run, and all of its `Run.config`.

    Raises:
        InputError: the directory holds no run.
    """
    config = directory.read_json("config.json")
    fields = dataclasses.fields(Recipe)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    for name in (*required, "data", "seed", "label_names"):
        if name not in config:
            raise InputError(
                f"{directory.path / 'config.json'} is not that of a training run: no {name}"
            )
    values = {field.name: config[field.name] for field in fields if field.name in config}
    values["augment"] = tuple(values.get("augment", ()))
    return Recipe(**values), config


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
    cached_train, cached_test = load_or_check([run.train, run.test], recipe, cache)
    directory.start(run.config())
    if run.draw != "given":
        write_observed(directory.path / "observed.csv", run.train, run.observed)

    measure = functools.partial(
        evaluate,
        examples=run.test,
        batch_size=recipe.batch_size,
        resize=recipe.resize,
        cached=cached_test,
    )
    num_epochs, checkpoint = directory.last_checkpoint()
    model = load_model(checkpoint) if checkpoint else make_model(run)
    if num_epochs < recipe.epochs:
        fit(run, model, directory, num_epochs, measure, cached_train)
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


def make_model(run: Run) -> PatchClassifier:
    """The compiled model at the start of a run."""
    recipe = run.recipe
    keras.utils.set_random_seed(run.seed)
    model = PatchClassifier(
        num_labels=len(run.train.label_names),
        image_size=recipe.image_size,
        patch_size=recipe.patch_size,
        num_levels=recipe.num_levels,
        embedding_dim=recipe.embedding_dim,
    )
    options = {}
    if run.loss in ("epr", "role"):
        options["expected_positives"] = run.expected_positives
    if run.loss == "role":
        num_examples, num_labels = run.observed.shape
        options |= {
            "num_examples": num_examples,
            "num_labels": num_labels,
            "observed": run.observed,
            "seed": run.seed,
        }
    loss = losses.get(run.loss, **options)
    model.compile(make_optimizer(recipe, len(run.train)), loss=loss)
    return model


def fit(run, model, directory, num_epochs, measure, cached) -> None:
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
    model.fit(
        batches,
        initial_epoch=num_epochs,
        epochs=recipe.epochs,
        steps_per_epoch=math.ceil(len(run.train) / recipe.batch_size),
        shuffle=False,  # the batches are
        verbose=0,
        callbacks=[
            Progress(len(run.train), recipe.batch_size, recipe.epochs),
            EndOfEpoch(directory, measure, len(run.train), recipe.epochs, history),
        ],
    )

"""One training run, from data to a measured and exported model."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_patchpu.data import (
    Examples,
    PictureCache,
    load_images,
    write_observed,
)
from keras_patchpu.models import MultiLabelModel
from keras_patchpu.serving import export, next_version
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.checkpoints import Checkpoints, EpochSoFar, Position
from keras_patchpu.training.compiled_model import make_model
from keras_patchpu.training.evaluation import Evaluation, Scorer, evaluate, measure_scores
from keras_patchpu.training.finished_epoch import FinishedEpoch, print_line
from keras_patchpu.training.fitting import fit, follow
from keras_patchpu.training.mirrored import check_parts, synchronize
from keras_patchpu.training.peak_memory import peak_memory_gb
from keras_patchpu.training.recipe import Recipe
from keras_patchpu.training.run import Run
from keras_patchpu.training.run_directory import RunDirectory, save_model
from keras_patchpu.training.several_hosts import Hosts
from keras_patchpu.training.shared_batches import LocalCopy, start_alike

# Without a cache on disk pictures are kept in memory if they fit into this.
MEMORY_BYTES = 4 * 2**30


def train(
    run: Run,
    out: str,
    resume: bool,
    saved_models: str,
    cache: PictureCache | None = None,
    *,
    model: MultiLabelModel | None = None,
    report: Callable[[FinishedEpoch], None] = print_line,
    progress: bool = True,
    hosts: Hosts | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[Evaluation | Agreement, pathlib.Path] | None:
    """Trains, measures and exports; reports each epoch and writes `out` as it goes.

    Killed at any moment and called again with `resume`, it ends with the weights that it would
    have ended with, and one SavedModel. See `fit` for Ctrl-C and SIGTERM.

    Args:
        run: what to train.
        out: the run's directory.
        resume: go on with what is in `out`.
        saved_models: the SavedModel goes to `saved_models/<name of out>/1`, or to the next number
            if another run's is there.
        cache: keeps resized pictures from run to run.
        model: what `make_model(run)` gave, for who has made it already; a run that goes on takes
            that of its checkpoint instead.
        report: told of each epoch; by default prints a line.
        progress: show bars on stderr, if that is a terminal.
        hosts: that train together and are connected; `model` is then that of `make_shared_model`.
        strategy: in the scope of which `model` was made.

    Returns:
        What `evaluate` says of the trained model on `run.test`, and the path of the SavedModel;
        None on other hosts than host 0, which read and write nothing of `out`.

    Raises:
        InputError: see `RunDirectory.check`, `RunDirectory.sole_use`, `load_images`,
            `Checkpoints.load` and `fit`; a file cannot be written.
    """
    if hosts is not None:
        hosts.check_same(run.config())
        if not hosts.leads:
            return _follow(run, model, cache, hosts)
    if strategy is not None:
        check_parts(len(run.train), run.recipe.batch_size, strategy.num_replicas_in_sync)
    directory = RunDirectory(out)
    directory.check(run.config(), resume)
    splits = [run.train, run.test] + ([run.validation] if run.validation is not None else [])
    cached = load_or_check(splits, run.recipe, cache, progress)
    with directory.sole_use():
        directory.check(run.config(), resume)  # another may have begun meanwhile
        places = (directory, cached, saved_models)
        return _train(run, *places, model, report, progress, hosts, strategy)


def _follow(run, model, cache, hosts):
    """`train` on the other hosts than host 0."""
    (cached,) = load_or_check([run.train], run.recipe, cache, progress=False)
    position, so_far = start_alike(model, None, Position(), EpochSoFar(), hosts)
    if position.epochs < run.recipe.epochs:
        follow(run, model, position, so_far, cached, hosts)
    hosts.disconnect()


def _train(run, directory, cached, saved_models, model, report, progress, hosts, strategy):
    """`train` in a directory of its own, with the pictures of the splits as they are cached."""
    recipe = run.recipe
    cached_train, cached_test, *cached_validation = cached
    directory.start(run.config())
    if run.draw != "given":
        write_observed(directory.path / "observed.csv", *_drawn(run))

    facts = (recipe.batch_size, recipe.image_size, recipe.resize)
    score_test = Scorer(run.test, *facts, cached_test)
    validate = None
    if run.validation is not None:
        scorer = Scorer(run.validation, *facts, cached_validation[0])
        validate = functools.partial(_validate, run=run, score=scorer)
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        position, so_far, trained = Checkpoints(directory).load()
        if hosts is None:
            model = trained or model or make_model(run)
    if hosts is not None:
        position, so_far = start_alike(model, trained, position, so_far, hosts)
    if strategy is not None:
        synchronize(model)
    copy = None if hosts is None and strategy is None else LocalCopy()
    if position.epochs < recipe.epochs:
        measured = (score_test, validate, cached_train, report, progress)
        fit(run, model, directory, position, so_far, *measured, hosts, copy)
    save_model(model, directory.model_path)
    if hosts is not None:
        hosts.disconnect()
    if copy is not None:
        model = copy(model)

    evaluation = evaluate(model, run.test, recipe.batch_size, recipe.resize, cached_test)
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
            "peak_memory_gb": round(peak_memory_gb(), 2),
        }
    folder = saved_models / directory.path.resolve().name
    target = pathlib.Path(metrics.get("saved_model", ""))
    if target.parent != folder:
        target = folder / str(next_version(folder))
    directory.write_json("metrics.json", {**metrics, "saved_model": str(target)})
    return target


def load_or_check(
    splits: list[Examples], recipe: Recipe, cache: PictureCache | None, progress: bool = True
) -> list[np.ndarray | None]:
    """The resized pictures of the splits, from the cache or, without one, in memory.

    None for a split that is too large: its pictures are checked, and read anew in every epoch.
    """
    size = recipe.image_size
    if cache is not None:
        return [cache.get(split, size, recipe.resize, progress) for split in splits]
    keep = 3 * size**2 * sum(map(len, splits)) <= MEMORY_BYTES
    return [load_images(split, size, recipe.resize, keep, progress) for split in splits]


def _drawn(run):
    """All images that had a positive drawn, those held out too: the draw can be repeated."""
    if run.validation is None:
        return run.train, run.observed
    keys = run.train.keys + run.validation.keys
    observed = np.concatenate([run.observed, run.validation_observed])
    return dataclasses.replace(run.train, keys=keys), observed


def _validate(model, run, score):
    """Columns of the history: mAP on the validation images by their truth, and by what is observed.

    Observed labels alone take what is not observed for negative, as who has no truth must.
    """
    logits = score(model)
    truths = {
        "validation_map": run.validation.labels,
        "validation_observed_map": run.validation_observed == 1,
    }
    names = run.validation.label_names
    return {
        column: f"{measure_scores(names, labels, logits, truth_known=True).headline:.3f}"
        for column, labels in truths.items()
    }

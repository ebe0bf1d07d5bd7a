"""What a report says of a run: its files, and one pass of its model over the pictures."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_patchpu.data import Examples, PictureCache, known_labels
from keras_patchpu.errors import InputError
from keras_patchpu.losses import LOSSES
from keras_patchpu.reporting.cases import highest_absent, ranked_cases
from keras_patchpu.reporting.gallery import CasePictures, picture_cases
from keras_patchpu.reporting.run_files import check_has, read_history
from keras_patchpu.training import RunDirectory, check_labels, load_trained, read_config
from keras_patchpu.training.evaluation import score
from keras_patchpu.training.weak_negative_log import read_weak_negatives

# Of the training images these are enough to see how their scores are spread.
MOST_TRAINING_IMAGES = 2000
# Of the gallery: the best and the worst, and labels found where none is said to be.
NUM_CASES = 6
NUM_DOUBTS = 12


@dataclasses.dataclass(frozen=True)
class TrainingLabels:
    """What a run learnt from: N images, and `(N, L)`, 1, 0 or -1, what the loss saw of them."""

    examples: Examples
    observed: np.ndarray


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """Images of a split, without their pictures, and what the model says of them.

    Attributes:
        split: name of the split.
        keys: N names of images.
        labels: `(N, L)` truth: 1 present, 0 absent, -1 unknown.
        logits: `(N, L)`.
        truth_known: as of `Examples`.
        observed: `(N, L)` what the loss saw; None for images to measure on.
    """

    split: str
    keys: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray
    truth_known: bool
    observed: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Cases of the test split, see `ranked_cases` and `highest_absent`."""

    best: tuple[CasePictures, ...] = ()
    worst: tuple[CasePictures, ...] = ()
    doubts: tuple[CasePictures, ...] = ()


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """All that a report of a run is made of.

    Attributes:
        name: of the run's directory.
        config, metrics: the files of these names.
        history: each column of `history.csv` that is there.
        weak_negatives: the rows of `weak_negatives.json`, or none.
        num_parameters: that are trained.
        grids: `(rows, columns)` of each level of the model's places.
        test: the images measured on.
        train: some of those learnt from, if it is known what was observed of them.
        gallery: of the test images.
    """

    name: str
    config: dict
    metrics: dict
    history: dict[str, list[float]]
    weak_negatives: list[dict]
    num_parameters: int
    grids: list[tuple[int, int]]
    test: ScoredSplit
    train: ScoredSplit | None
    gallery: Gallery


def gather_run_facts(
    directory: RunDirectory,
    test: Examples,
    learnt_from: TrainingLabels | None,
    cache: PictureCache | None = None,
) -> RunFacts:
    """Reads a finished run and scores its test images, and some of its training images.

    In memory are the scores and labels of all these, 26 MB for 40,000 images and 80 labels, and
    the pictures and maps of the gallery.

    Args:
        directory: of the run.
        test: the images that it was measured on.
        learnt_from: the images that it was trained on; None leaves out what would be said of them.
        cache: with resized pictures.

    Raises:
        InputError: the run has not ended, a file of it is damaged, the labels are not those of the
            run, or a picture cannot be read.
    """
    recipe, config = read_config(directory)
    check_has(directory, "config.json", config, ("loss", "num_train", "num_test"))
    if config["loss"] not in LOSSES:
        raise InputError(
            f"{directory.path / 'config.json'}: there is no loss {config['loss']!r} in this version"
        )
    metrics = directory.read_json("metrics.json")
    numbers = ("peak_memory_gb", "images_per_second")
    check_has(directory, "metrics.json", metrics, numbers, float | int)
    history, weak_negatives = read_history(directory), read_weak_negatives(directory)
    _check_split(directory, config, test, "num_test")
    if learnt_from is not None:
        _check_split(directory, config, learnt_from.examples, "num_train")
    model = load_trained(directory, recipe, config)

    cached = cache.get(test, recipe.image_size, recipe.resize) if cache else None
    logits = _score(model, test, recipe, cached)
    scored_test = ScoredSplit(test.split, test.keys, test.labels, logits, test.truth_known)
    train = None
    if learnt_from is not None:
        train = _score_sample(model, learnt_from, recipe, LOSSES[config["loss"]].supervised)
    return RunFacts(
        name=directory.path.resolve().name,
        config={"model": recipe.model, "weights": recipe.weights, **config},
        metrics=metrics,
        history=history,
        weak_negatives=weak_negatives,
        num_parameters=model.num_parameters,
        grids=list(model.attention_grids),
        test=scored_test,
        train=train,
        gallery=_fill_gallery(model, test, scored_test, recipe, cached),
    )


def _check_split(directory, config, split, number):
    """The run was trained or measured on just these images, as far as its record says."""
    advice = "give its data by --data, or by --images and --test-labels or --labels"
    check_labels(directory, config, split, advice)
    if len(split) != config[number]:
        raise InputError(
            f"{directory.path} had {config[number]:,} images where {split.name} {split.split} has "
            f"{len(split):,}: {advice}"
        )


def _score_sample(model, learnt_from, recipe, supervised):
    """Not from a cache: that would hold all training images, to be made first if it is gone."""
    rows = np.arange(len(learnt_from.examples))
    if len(rows) > MOST_TRAINING_IMAGES:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_TRAINING_IMAGES])
    sample = learnt_from.examples.select(rows)
    observed = known_labels(sample) if supervised else learnt_from.observed[rows]
    logits = _score(model, sample, recipe, cached=None)
    return ScoredSplit(
        sample.split, sample.keys, sample.labels, logits, sample.truth_known, observed
    )


def _score(model, examples, recipe, cached):
    """Logits `(N, L)`; of a batch nothing else is kept."""
    try:
        return score(model, examples, recipe.batch_size, recipe.resize, cached)
    except tf.errors.OpError as error:
        raise InputError(
            f"a picture of {examples.name} {examples.split} cannot be read "
            f"({error.message.strip().splitlines()[0]}): `python recipes/inspect_data.py` finds it"
        ) from error


def _fill_gallery(model, test, scored, recipe, cached):
    present = scored.labels == 1
    # Where nobody has said what is absent, all that is not present may be.
    absent = scored.labels == 0 if scored.truth_known else ~present
    kinds = [
        *ranked_cases(present, absent, scored.logits, NUM_CASES),
        highest_absent(absent, scored.logits, NUM_DOUBTS),
    ]
    cases = [case for kind in kinds for case in kind]
    drawn = iter(picture_cases(model, test, cases, recipe.batch_size, recipe.resize, cached))
    return Gallery(*(tuple(next(drawn) for _ in kind) for kind in kinds))

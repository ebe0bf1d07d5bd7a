"""A training run on your own pictures: a folder, and a CSV file with what is known of each."""

import os

import numpy as np

from keras_patchpu import data, losses
from keras_patchpu.errors import InputError
from keras_patchpu.training.recipe import RECIPES, Recipe
from keras_patchpu.training.run import Run


def folder_run(
    images: str | os.PathLike,
    labels: str | os.PathLike,
    *,
    test_labels: str | os.PathLike | None = None,
    test_images: str | os.PathLike | None = None,
    loss: str = "wn",
    recipe: Recipe = RECIPES["small"],
    seed: int = 0,
    expected_positives: float | None = None,
) -> Run:
    """Reads a folder of pictures and their labels; gives what `train` is told. Writes nothing.

    Args:
        images: the folder with the pictures, in subfolders or not.
        labels: CSV file with what is known of them, in one of the forms of `read_label_table`.
        test_labels: CSV file with the whole truth of other pictures. Without it a tenth of the
            pictures is held out by `seed`; how good a model is cannot be known from them.
        test_images: the folder of those; by default `images`.
        loss: a key of `losses.LOSSES`.
        recipe: the rest; by default one that needs no GPU.
        seed: of the weights, the shuffle, and which pictures are held out; 0 or more.
        expected_positives: how many labels a picture has, by mean: for losses that are told.

    Returns:
        The run, whose observed labels are all that are known, 1 and -1, of its training pictures.

    Raises:
        InputError: one line: see `data.read_folder`; there are too few labels or pictures, test
            pictures that are trained on, or the loss needs to know more.
    """
    train = data.read_training_folder(images, labels)
    if len(train.label_names) < 2:
        raise InputError(
            f"{labels} has the one label {train.label_names[0]}: the model tells labels from each "
            "other, give 2 or more"
        )
    if test_labels is not None:
        test = _read_test(test_images or images, test_labels, train, labels)
    elif len(train) < 2:
        raise InputError(
            f"{labels} labels a single picture: training needs 2 at least, for one is held out to "
            "test on"
        )
    else:
        train, test = data.hold_out(train, seed)
        if not (train.labels == 1).any():
            raise InputError(
                f"{labels}: all pictures with a label are among the tenth that seed {seed} holds "
                "out to test on: label more, or give --test-labels or another --seed"
            )
    _check_loss(loss, train.labels, labels, expected_positives)
    return Run(
        train=train,
        test=test,
        observed=data.known_labels(train),
        draw="given",
        loss=loss,
        recipe=recipe,
        seed=seed,
        expected_positives=expected_positives or 1.0,
    )


def _read_test(images, test_labels, train: data.Examples, labels) -> data.Examples:
    """The test pictures, none of which may be a training picture."""
    test = data.read_folder(images, test_labels, "test", True, train.label_names)
    trained_on = {os.path.realpath(image) for image in train.images}
    shared = [image for image in test.images if os.path.realpath(image) in trained_on]
    if shared:
        raise InputError(
            f"{test_labels}: {len(shared)} of its pictures are in {labels} too, the first is "
            f"{shared[0]}: take them out of one of the two"
        )
    return test


def _check_loss(loss, known: np.ndarray, labels, expected_positives) -> None:
    """What is known `(N, L)` is enough for the loss."""
    if loss not in losses.LOSSES:
        raise InputError(f"no loss {loss!r}: choose of {', '.join(losses.LOSSES)}")
    if losses.LOSSES[loss].supervised and not (known == 0).any():
        raise InputError(
            f"--loss {loss} learns from positives and negatives, and {labels} has no -1: choose "
            "another, such as wn"
        )
    if expected_positives is None and "expected_positives" in losses.arguments_of(loss):
        raise InputError(
            f"--loss {loss} needs to know how many labels a picture has, which nobody has counted: "
            "give the mean by --expected-positives, such as 1.5"
        )

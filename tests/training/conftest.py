"""A run on scenes of digits, small enough to be trained in seconds."""

import dataclasses

import pytest

from keras_patchpu.data import draw_single_positive, read_digits
from keras_patchpu.training import Recipe, Run

RECIPE = Recipe(image_size=64, patch_size=32, num_levels=2, embedding_dim=8, epochs=10)


@pytest.fixture(scope="session")
def digits_run():
    """A run of `an` on 8 scenes, with 6 to test on. Not to be written to."""
    train, test = read_digits("train", num_examples=8), read_digits("test", num_examples=6)
    observed = draw_single_positive(train.labels, seed=0, keys=train.keys)
    return Run(train, test, observed, "uniform", "an", RECIPE, seed=0, expected_positives=2.0)


@pytest.fixture(scope="session")
def with_test_labels(digits_run):
    """`with_test_labels(labels, truth_known=True)`: that run tested by labels `(6, 10)`."""

    def replace(labels, truth_known=True):
        test = dataclasses.replace(digits_run.test, labels=labels, truth_known=truth_known)
        return dataclasses.replace(digits_run, test=test)

    return replace

"""Recipes: the paper's numbers, the learning rate of every step, and levels without a patch."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.models import PatchClassifier
from keras_patchpu.training import RECIPES, Recipe, make_optimizer

PAPER = RECIPES["paper"]


def rates(optimizer, num_steps):
    """The learning rate that each of the first steps is taken with."""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer.build([variable])
    used = []
    for _ in range(num_steps):
        used.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.zeros(1)])
    return np.array(used)


def test_the_paper():
    # Section 4.1.2 of the paper.
    assert dataclasses.asdict(PAPER) == {
        "image_size": 640,
        "patch_size": 64,
        "num_levels": 4,
        "embedding_dim": 256,
        "epochs": 25,
        "batch_size": 16,
        "optimizer": "lamb",
        "learning_rate": 1e-3,
        "schedule": "halve",
        "weight_decay": 1e-4,
        "resize": "stretch",
        "augment": (),
        "model": "patch",
        "weights": None,
        "rematerialise": None,
    }
    optimizer = make_optimizer(PAPER, num_examples=5717)
    assert type(optimizer) is keras.optimizers.Lamb
    assert optimizer.weight_decay == 1e-4


@pytest.mark.parametrize("num_examples", [1, 16, 40, 48])
def test_the_paper_halves_after_5_10_and_15_epochs(num_examples):
    steps = math.ceil(num_examples / 16)
    expected = np.repeat([1e-3] * 5 + [5e-4] * 5 + [2.5e-4] * 5 + [1.25e-4] * 10, steps)
    found = rates(make_optimizer(PAPER, num_examples), 25 * steps)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_cosine_rises_and_ends_at_zero():
    recipe = dataclasses.replace(RECIPES["small"], epochs=10, batch_size=8)
    found = rates(make_optimizer(recipe, num_examples=76), 10 * 10)  # 9.5 batches an epoch
    assert np.argmax(found) == 5 and found[5] == pytest.approx(1e-3)
    assert np.all(np.diff(found[:6]) > 0) and np.all(np.diff(found[5:]) < 0)
    np.testing.assert_allclose(
        found[5:], 0.5e-3 * (1 + np.cos(np.pi * np.arange(95) / 95)), rtol=1e-4, atol=1e-9
    )
    assert 0 <= found[-1] < 1e-6


def test_the_cosine_of_a_single_step_is_finite():
    recipe = dataclasses.replace(RECIPES["small"], epochs=1)
    assert np.all(np.isfinite(rates(make_optimizer(recipe, num_examples=3), 1)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds(name):
    recipe = RECIPES[name]
    model = PatchClassifier(
        num_labels=3,
        image_size=recipe.image_size,
        patch_size=recipe.patch_size,
        num_levels=recipe.num_levels,
        embedding_dim=recipe.embedding_dim,
    )
    expected = {"paper": 100 + 25 + 4 + 1, "small": 25 + 4 + 1, "digits": 4 + 1}
    assert model.output["attention"].shape == (None, 3, expected[name])
    optimizer = make_optimizer(recipe, num_examples=100)
    optimizer.build(model.trainable_variables)
    assert optimizer.weight_decay == (recipe.weight_decay or None)


@pytest.mark.parametrize(
    "sizes", [(63, 64, 1), (64, 32, 3), (127, 32, 3), (128, 64, 4)], ids="{0[0]}".format
)
def test_a_level_without_a_patch(sizes):
    image_size, patch_size, num_levels = sizes
    with pytest.raises(InputError) as error:
        Recipe(image_size, patch_size, num_levels)
    message = str(error.value)
    assert "\n" not in message and f"--image-size {image_size}" in message
    assert "--levels" in message and "--patch-size" in message


@pytest.mark.parametrize("sizes", [(64, 64, 1), (64, 32, 2), (129, 32, 3), (512, 64, 4)])
def test_a_last_level_of_one_patch(sizes):
    recipe = Recipe(*sizes)
    PatchClassifier(2, recipe.image_size, recipe.patch_size, recipe.num_levels)


@pytest.mark.parametrize("model", ["resnet50", "query2label"])
def test_baselines_need_32_pixels(model):
    small = dataclasses.replace(RECIPES["digits"], model=model, image_size=32)
    with pytest.raises(InputError, match=f"--image-size 31 is too small for {model}: give 32"):
        dataclasses.replace(small, image_size=31)

"""The model, the loss and the optimizer of a run."""

import keras
import tensorflow as tf

from keras_patchpu import losses
from keras_patchpu.errors import InputError
from keras_patchpu.layers import PatchPyramid
from keras_patchpu.models import MODELS, MultiLabelModel, PatchClassifier
from keras_patchpu.training.loss_options import loss_with
from keras_patchpu.training.recipe import Recipe, make_optimizer
from keras_patchpu.training.run import Run

# Pixels of all patches of a batch that take about 5 GB to train on, and 2 if rematerialised.
LARGE_BATCH = 2**22


def make_model(run: Run) -> MultiLabelModel:
    """The compiled model at the start of a run."""
    recipe = run.recipe
    keras.utils.set_random_seed(run.seed)
    num_labels = len(run.train.label_names)
    if recipe.model == "patch":
        model = PatchClassifier(
            num_labels=num_labels,
            image_size=recipe.image_size,
            patch_size=recipe.patch_size,
            num_levels=recipe.num_levels,
            embedding_dim=recipe.embedding_dim,
            rematerialise=rematerialises(recipe),
        )
    else:
        model = _make_baseline(recipe, num_labels)
    model.compile(make_optimizer(recipe, len(run.train)), loss=make_loss(run, model))
    return model


def rematerialises(recipe: Recipe) -> bool:
    """Whether the patch model of a recipe is trained in less memory, somewhat slower."""
    if recipe.rematerialise is not None:
        return recipe.rematerialise
    if keras.backend.backend() != "tensorflow":
        return False  # JAX would compile for twice as long
    pyramid = PatchPyramid(recipe.patch_size, recipe.num_levels)
    num_patches = pyramid.num_patches(recipe.image_size, recipe.image_size)
    pixels = recipe.batch_size * num_patches * recipe.patch_size**2
    return pixels > LARGE_BATCH and not tf.config.list_physical_devices("GPU")


def _make_baseline(recipe, num_labels):
    try:
        return MODELS[recipe.model](num_labels, recipe.image_size, weights=recipe.weights)
    except Exception as error:  # what Keras raises where a download fails
        if recipe.weights is None:
            raise
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"--weights {recipe.weights} cannot be loaded ({reason}): give the .h5 file of "
            "keras.applications, or leave it out"
        ) from error


def make_loss(run: Run, model: MultiLabelModel) -> losses.MultiLabelLoss:
    """The loss of a run, with those of these facts that it asks for."""
    num_examples, num_labels = run.observed.shape
    facts = {
        "expected_positives": run.expected_positives,
        "num_examples": num_examples,
        "num_labels": num_labels,
        "observed": run.observed,
        "seed": run.seed,
        "grid": model.attention_grids[0],
    }
    return loss_with(run.loss, run.loss_options, facts)

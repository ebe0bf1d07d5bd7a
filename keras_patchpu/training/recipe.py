"""How a model is trained: the paper's recipe, and others beside it."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from keras_patchpu.errors import InputError

# Pixels: what the backbone of `keras.applications` takes.
SMALLEST_IMAGE = 32


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run besides data, loss and seed.

    Attributes:
        image_size: height and width of the square images in pixels.
        patch_size: height and width of a patch in pixels.
        num_levels: number of resolutions, the image itself included.
        embedding_dim: F, the size of an embedding.
        epochs: passes over the training images.
        batch_size: images a step.
        optimizer: `"lamb"` or `"adam"`.
        learning_rate: the largest one.
        schedule: `"halve"`, as in the paper: halved after 5, 10 and 15 epochs and then held; or
            `"cosine"`: up in a line over the first 5% of the steps, then down to 0 as a cosine.
        weight_decay: decoupled from the gradient, on every variable.
        resize: how a picture becomes a square, `"stretch"` or `"pad"`.
        augment: names of `data.AUGMENTATIONS`; the paper has none.
        model: a key of `models.MODELS`. `patch_size`, `num_levels` and `embedding_dim` are those
            of `"patch"`.
        weights: what the backbone of another model than `"patch"` starts from: None for scratch,
            `"imagenet"`, or the path of a weights file.
        rematerialise: whether the patch model trains in a third of the memory, see
            `PatchEmbedder`; None for where a batch is large and there is no GPU.

    Raises:
        InputError: a level is smaller than a patch, there are weights for `"patch"`, or images are
            too small for another model.
    """

    image_size: int
    patch_size: int
    num_levels: int
    embedding_dim: int = 256
    epochs: int = 25
    batch_size: int = 16
    optimizer: str = "lamb"
    learning_rate: float = 1e-3
    schedule: str = "halve"
    weight_decay: float = 1e-4
    resize: str = "stretch"
    augment: Sequence[str] = ()
    model: str = "patch"
    weights: str | None = None
    rematerialise: bool | None = None

    def __post_init__(self):
        if self.model == "patch":
            self._check_patches()
        elif self.image_size < SMALLEST_IMAGE:
            raise InputError(
                f"--image-size {self.image_size} is too small for {self.model}: give "
                f"{SMALLEST_IMAGE} or more"
            )

    def _check_patches(self):
        if self.weights:
            raise InputError(
                f"--weights {self.weights} cannot start the patch model, which is trained from "
                "scratch: leave it out, or choose another --model"
            )
        smallest = self.image_size // 2 ** (self.num_levels - 1)
        if smallest < self.patch_size:
            raise InputError(
                f"--image-size {self.image_size} leaves {smallest} pixels for the last of "
                f"{self.num_levels} levels, less than a patch of {self.patch_size}: give a larger "
                "--image-size, fewer --levels or a smaller --patch-size"
            )


RECIPES = {
    # Section 4.1.2 of the paper: 130 patches an image, which take much memory to train.
    "paper": Recipe(image_size=640, patch_size=64, num_levels=4),
    # 30 patches an image: what a computer without a GPU trains on VOC in about an hour or two.
    "small": Recipe(
        image_size=160,
        patch_size=32,
        num_levels=3,
        optimizer="adam",
        schedule="cosine",
        weight_decay=0.0,
    ),
    # The embedded digits: 5 patches an image, minutes on two cores.
    "digits": Recipe(
        image_size=64,
        patch_size=32,
        num_levels=2,
        epochs=6,
        optimizer="adam",
        schedule="cosine",
        weight_decay=0.0,
    ),
}


def make_optimizer(recipe: Recipe, num_examples: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer for a training set of `num_examples` images.

    `keras.optimizers.Lamb` decays weights outside the trust ratio, that of the paper's time
    inside; at 1e-4 times the learning rate the difference is below rounding.
    """
    steps_per_epoch = math.ceil(num_examples / recipe.batch_size)
    if recipe.schedule == "halve":
        # A boundary is the last step of the larger rate.
        learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [epoch * steps_per_epoch - 1 for epoch in (5, 10, 15)],
            [recipe.learning_rate * factor for factor in (1, 0.5, 0.25, 0.125)],
        )
    else:
        num_steps = recipe.epochs * steps_per_epoch
        warmup_steps = max(1, num_steps // 20)
        learning_rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            decay_steps=max(1, num_steps - warmup_steps),
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup_steps,
        )
    optimizer = {"lamb": keras.optimizers.Lamb, "adam": keras.optimizers.Adam}[recipe.optimizer]
    return optimizer(learning_rate, weight_decay=recipe.weight_decay or None)

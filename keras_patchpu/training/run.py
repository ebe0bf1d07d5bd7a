"""What is trained on what, and its record in a run's directory."""

import dataclasses
import hashlib

import numpy as np

from keras_patchpu.data import Examples
from keras_patchpu.errors import InputError
from keras_patchpu.training.recipe import Recipe
from keras_patchpu.training.run_directory import RunDirectory


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
        expected_positives: k of `epr`, `role` and those that expect positives.
        validation: images with full truth, taken out of the training images and measured after
            every epoch to choose one by; or None.
        validation_observed: `(N, L)`, their observed labels.
        found: the splits as they were read, to be counted beside the official ones.
    """

    train: Examples
    test: Examples
    observed: np.ndarray
    draw: str
    loss: str
    recipe: Recipe
    seed: int
    expected_positives: float
    validation: Examples | None = None
    validation_observed: np.ndarray | None = None
    found: tuple[Examples, ...] = ()

    def config(self) -> dict:
        """What decides the result, as JSON values."""
        return {
            "data": self.train.name,
            "num_train": len(self.train),
            "num_test": len(self.test),
            "test_split": self.test.split,
            "num_validation": len(self.validation or ()),
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

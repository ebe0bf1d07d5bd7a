"""What is trained on what, and its record in a run's directory."""

import dataclasses
import hashlib

import keras
import numpy as np

from keras_patchpu.data import Examples
from keras_patchpu.data.decode import RESIZE_MODES
from keras_patchpu.data.written_names import check_label_names
from keras_patchpu.errors import InputError
from keras_patchpu.training.recipe import Recipe
from keras_patchpu.training.run_directory import RunDirectory, load_model

# Of the values of a record that are not of its recipe, or are written in another way.
_KINDS = {
    **dict.fromkeys(("seed", "num_train", "num_test", "num_validation"), int),
    **dict.fromkeys(("data", "loss", "test_split"), str),
    **dict.fromkeys(("label_names", "augment"), list),
    "loss_options": dict,
}
_LARGEST = 1_000_000


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
        loss_options: arguments of the loss in place of its defaults, such as `theta`.
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
    loss_options: dict[str, float] = dataclasses.field(default_factory=dict)

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
            # Not in the record of a run without, as of those before there were any.
            **({"loss_options": self.loss_options} if self.loss_options else {}),
        }


def read_config(directory: RunDirectory) -> tuple[Recipe, dict]:
    """The recipe of a run, and all of its `Run.config`.

    Raises:
        InputError: the directory holds no run, or its record is damaged.
    """
    config = directory.read_json("config.json")
    file = directory.path / "config.json"
    fields = dataclasses.fields(Recipe)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    for name in (*required, "data", "seed", "label_names"):
        if name not in config:
            raise InputError(f"{file} is not that of a training run: no {name}")
    _check_kinds(file, config)
    values = {field.name: config[field.name] for field in fields if field.name in config}
    values["augment"] = tuple(values.get("augment", ()))
    return Recipe(**values), config


def _check_kinds(file, config):
    kinds = {field.name: field.type for field in dataclasses.fields(Recipe)}
    for name, kind in {**kinds, **_KINDS}.items():
        value = config.get(name, 1)
        if name in config and not isinstance(value, (int, float) if kind is float else kind):
            raise InputError(f"{file} is damaged: its {name} is {str(value)[:40]!r}")
        if name in kinds and kind is int and not 1 <= value <= _LARGEST:
            raise InputError(f"{file} is damaged: its {name} is not within 1 and {_LARGEST:,}")
    if config.get("resize", RESIZE_MODES[0]) not in RESIZE_MODES:
        raise InputError(f"{file} is damaged: there is no resize {config['resize']!r}")
    check_label_names(file, config["label_names"])


def load_trained(directory: RunDirectory, recipe: Recipe, config: dict) -> keras.Model:
    """The model of a finished run.

    Args:
        directory: of the run.
        recipe, config: what `read_config` returned of it.

    Raises:
        InputError: see `load_model`, or it has other labels or images than its record says.
    """
    model = load_model(directory.model_path)
    found = (model.output["logits"].shape[-1], model.image_size)
    if found != (len(config["label_names"]), recipe.image_size):
        raise InputError(
            f"{directory.model_path} has {found[0]} labels and images of {found[1]} pixels, which "
            "is not what config.json beside it says: take both from one run"
        )
    return model


def check_labels(directory: RunDirectory, config: dict, examples: Examples, advice: str) -> None:
    """Checks that a run was trained on the labels of these images.

    Args:
        directory: of the run.
        config: what `read_config` returned of it.
        examples: images to go on with.
        advice: what the user can do if it was not.

    Raises:
        InputError: it was trained on others, or on the same in another order.
    """
    if list(examples.label_names) != config["label_names"]:
        raise InputError(
            f"{directory.path} was trained on the labels of {config['data']}, which are not those "
            f"of {examples.name}: {advice}"
        )

"""A model in this process, which answers as a server does."""

import os
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_patchpu.data.silent_libraries import libraries_silent
from keras_patchpu.errors import InputError
from keras_patchpu.serving.answer import Answer
from keras_patchpu.serving.answer_functions import answer_functions
from keras_patchpu.serving.description import Description
from keras_patchpu.serving.known_operations import check_operations


class LocalModel:
    """Answers about pictures without a server: the code that is exported, or a SavedModel itself.

        model = LocalModel.load("saved_models/digits-wn-0")
        (answer,) = model.predict([pathlib.Path("some.png").read_bytes()])

    Attributes:
        description: the model's label names, size and `resize`.

    Args:
        ask: from strings `(N,)` to the outputs that `export` describes.
        description: of the model.
    """

    def __init__(self, ask: Callable[[tf.Tensor], dict[str, tf.Tensor]], description: Description):
        self._ask = ask
        self.description = description

    @classmethod
    def of(cls, model: keras.Model, label_names: Sequence[str], resize: str) -> "LocalModel":
        """That of a model in memory; arguments and errors as of `export`.

        Batch normalization is folded now: weights that are changed later are not seen.
        """
        from_bytes, _, _ = answer_functions(model, label_names, resize)
        ask = tf.function(from_bytes, [tf.TensorSpec((None,), tf.string)])
        return cls(ask, Description.of(model, label_names, resize))

    @classmethod
    def load(cls, path: str | os.PathLike) -> "LocalModel":
        """That of a SavedModel as `export` writes it, whoever did; see `check_operations`.

        Args:
            path: of a version, such as `saved_models/digits-wn-0/1`, or of the directory above it,
                of which the newest version is taken.

        Raises:
            InputError: there is none, it cannot be loaded, or another program wrote it.
        """
        version = find_version(pathlib.Path(path))
        if version is None:
            raise InputError(f"{path} holds no SavedModel: give a directory with versions in it")
        description = Description.read(version)
        try:
            check_operations(version)
            loaded = tf.saved_model.load(str(version))
            loaded.signatures["serving_default"]
        except Exception as error:  # TensorFlow stumbles over damaged files in any way
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise InputError(
                f"{version} cannot be loaded ({reason}): export the model anew"
            ) from error

        def ask(image_bytes):
            try:
                # Through `loaded`, for a signature alone does not keep its variables.
                outputs = loaded.signatures["serving_default"](image_bytes=image_bytes)
                _check_outputs(outputs, len(image_bytes), description)
            except (KeyError, TypeError, ValueError, tf.errors.OpError) as error:
                reason = str(error).strip().split("\n")[0]
                raise InputError(
                    f"{version} does not answer as an exported model ({reason}): export it anew"
                ) from error
            return outputs

        return cls(ask, description)

    def predict(self, pictures: Sequence[bytes]) -> list[Answer]:
        """Asks about N pictures, JPEG, PNG, GIF or BMP; a broken one gets a status, as served."""
        if not pictures:
            return []
        with libraries_silent():
            outputs = self._ask(tf.constant(list(pictures), tf.string))
        arrays = {name: value.numpy() for name, value in outputs.items()}
        return [
            Answer(
                arrays["scores"][row],
                [label.decode("utf-8", "replace") for label in arrays["labels"][row]],
                arrays["label_scores"][row],
                arrays["attention_maps"][row],
                arrays["status"][row].decode("utf-8", "replace"),
            )
            for row in range(len(pictures))
        ]


def _check_outputs(outputs, num_pictures, description):
    """N answers about L labels, K of them by name, with maps of as many cells as are described."""
    num_named = outputs["labels"].shape[1:]
    kinds = {
        "scores": (tf.float32, [len(description.label_names)]),
        "labels": (tf.string, num_named),
        "label_scores": (tf.float32, num_named),
        "attention_maps": (tf.float32, [*num_named, *outputs["attention_maps"].shape[2:]]),
        "status": (tf.string, []),
    }
    for name, (dtype, shape) in kinds.items():
        output = outputs[name]
        if output.dtype != dtype or output.shape != [num_pictures, *shape]:
            raise ValueError(f"{name} are {output.dtype.name} {output.shape}")
    if np.prod(outputs["attention_maps"].shape[2:]) != len(description.cells):
        raise ValueError("attention_maps have other cells than are described")


def find_version(path: pathlib.Path) -> pathlib.Path | None:
    """The SavedModel at a path: that itself, or the newest of the versions in it."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [found.parent for found in path.glob("*/saved_model.pb")]
    return max((v for v in versions if v.name.isdecimal()), key=lambda v: int(v.name), default=None)

"""A model in this process, which answers as a server does."""

import os
import pathlib
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from keras_patchpu.data.loading import libraries_silent
from keras_patchpu.errors import InputError
from keras_patchpu.serving.answer import Answer
from keras_patchpu.serving.answer_functions import answer_functions
from keras_patchpu.serving.description import Description


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
        """That of a SavedModel which `export` wrote.

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
            loaded = tf.saved_model.load(str(version))
            loaded.signatures["serving_default"]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(
                f"{version} cannot be loaded ({reason}): export the model anew"
            ) from error

        # Through `loaded`, for a signature alone does not keep its variables.
        return cls(
            lambda image_bytes: loaded.signatures["serving_default"](image_bytes=image_bytes),
            description,
        )

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
                [label.decode("utf-8") for label in arrays["labels"][row]],
                arrays["label_scores"][row],
                arrays["attention_maps"][row],
                arrays["status"][row].decode("utf-8"),
            )
            for row in range(len(pictures))
        ]


def find_version(path: pathlib.Path) -> pathlib.Path | None:
    """The SavedModel at a path: that itself, or the newest of the versions in it."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [found.parent for found in path.glob("*/saved_model.pb")]
    return max((v for v in versions if v.name.isdecimal()), key=lambda v: int(v.name), default=None)

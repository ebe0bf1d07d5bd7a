"""What `--data` of the recipes names."""

import os
import pathlib

from keras_patchpu.data.digits import read_digits
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.voc import read_voc
from keras_patchpu.data.voc_tfds import read_voc_tfds
from keras_patchpu.errors import InputError

LOOKED_FOR = ("VOCdevkit", "data/VOCdevkit", "~/VOCdevkit")


def read_source(source: str | os.PathLike | None, seed: int = 0) -> tuple[Examples, Examples]:
    """The training and the test split of a source.

    Args:
        source: `"digits"`, `"tfds"`, the path of a VOCdevkit, or None for the first folder of
            `LOOKED_FOR`.
        seed: of the embedded scenes.

    Raises:
        InputError: if it is not there or cannot be read.
    """
    if source == "digits":
        return read_digits("train", seed=seed), read_digits("test", seed=seed)
    if source == "tfds":
        return read_voc_tfds("train"), read_voc_tfds("val")
    if source is None:
        folders = [pathlib.Path(name).expanduser() for name in LOOKED_FOR]
        source = next((folder for folder in folders if folder.is_dir()), None)
    if source is None:
        raise InputError(
            f"No data: looked for the folders {', '.join(LOOKED_FOR)} and found none of them.\n"
            "With Pascal VOC 2012 on disk: --data /path/to/VOCdevkit; --data tfds fetches it.\n"
            "Without: --data digits trains on an embedded data set in minutes."
        )
    return read_voc(source, "train"), read_voc(source, "val")

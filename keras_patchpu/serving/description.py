"""What is to be known of an exported model and is not in its answers."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import keras
import numpy as np

from keras_patchpu.data.bounded_read import read_at_most
from keras_patchpu.data.decode import RESIZE_MODES
from keras_patchpu.data.picture_size import MAX_PATCHES, MAX_SIDE
from keras_patchpu.data.written_names import check_label_names
from keras_patchpu.errors import InputError

# Where TensorFlow keeps a place for files that it does not read, inside a version.
DESCRIPTION_FILE = pathlib.PurePath("assets.extra", "keras_patchpu.json")
_MOST_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class Description:
    """A model from outside.

    Attributes:
        label_names: the L names, in the order of the scores.
        image_size: S, height and width of the square in pixels.
        resize: how a picture becomes a square, `"stretch"` or `"pad"`.
        cells: `(h * w, 4)` of `ymin, xmin, ymax, xmax` in pixels of the square: where each cell of
            the attention maps lies, row by row. They may leave over a part of the square.
    """

    label_names: Sequence[str]
    image_size: int
    resize: str
    cells: Sequence[Sequence[float]]

    @classmethod
    def of(cls, model: keras.Model, label_names: Sequence[str], resize: str) -> "Description":
        """That of one of `keras_patchpu.models`, or another as `export` takes it."""
        rows, columns = model.attention_grids[0]
        cells = np.asarray(model.attention_boxes, float)[: rows * columns].tolist()
        return cls(list(label_names), int(model.image_size), resize, cells)

    def write(self, version: pathlib.Path) -> None:
        """Writes it into the directory of a version."""
        path = version / DESCRIPTION_FILE
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, version: pathlib.Path) -> "Description":
        """Reads it from the directory of a version.

        Raises:
            InputError: it is not there, or damaged.
        """
        path = version / DESCRIPTION_FILE
        try:
            description = cls(**json.loads(read_at_most(path, _MOST_BYTES)))
            description._check(path)
        except FileNotFoundError:
            raise InputError(
                f"{version} has no {DESCRIPTION_FILE}: it is not a model that keras_patchpu "
                "exported, or an old one: export it anew with recipes/export.py"
            ) from None
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}): export the model anew") from None
        return description

    def _check(self, path):
        if not (isinstance(self.label_names, list) and self.label_names):
            raise ValueError("no list of label names")
        check_label_names(path, self.label_names)
        if not isinstance(self.image_size, int) or not 0 < self.image_size <= MAX_SIDE:
            raise ValueError(f"the image size is not within 1 and {MAX_SIDE}")
        if self.resize not in RESIZE_MODES:
            raise ValueError(f"no way to resize {self.resize!r}")
        cells = np.asarray(self.cells, "float64")
        if cells.ndim != 2 or cells.shape[1] != 4 or not np.isfinite(cells).all():
            raise ValueError("cells that are not ymin, xmin, ymax and xmax")
        if len(cells) > MAX_PATCHES:
            raise ValueError(f"more than {MAX_PATCHES:,} cells")

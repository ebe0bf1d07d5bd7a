"""One description for the images and labels of every data set."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Examples:
    """The images of one split with their full truth. N images, L labels.

    Attributes:
        name: name of the data set, such as `"VOC2012"`.
        split: name of the split, such as `"train"`.
        label_names: the L label names, in the order of the columns of `labels`.
        keys: N unique names, one an image (its file name). The label draw is keyed by them, so
            that it does not depend on the order in which images are read.
        images: N pictures, either paths (`str`) or encoded JPEG/PNG/GIF/BMP pictures (`bytes`),
            all of one kind.
        labels: float32 `(N, L)` truth: 1 present, 0 absent, -1 unknown (to be ignored in
            evaluation).
        boxes: for each image a float32 `(num_boxes, 4)` array of `ymin, xmin, ymax, xmax` as
            fractions of the picture's height and width; empty where the data set has no boxes.
        box_labels: for each image an int `(num_boxes,)` array, the column of each box.
        box_difficult: for each image a bool `(num_boxes,)` array, true for VOC's difficult objects.
        truth_known: whether somebody looked for every label in every image. Where it is false, as
            in a folder with one positive an image, mAP cannot be known.
    """

    name: str
    split: str
    label_names: tuple[str, ...]
    keys: tuple[str, ...]
    images: Sequence[str] | Sequence[bytes]
    labels: np.ndarray
    boxes: Sequence[np.ndarray] = ()
    box_labels: Sequence[np.ndarray] = ()
    box_difficult: Sequence[np.ndarray] = ()
    truth_known: bool = True

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_examples(self) -> int:
        """N."""
        return len(self)

    def select(self, rows: Sequence[int]) -> "Examples":
        """The images of these rows, in their order."""
        kept = {}
        for name in ("images", "boxes", "box_labels", "box_difficult"):
            values = getattr(self, name)
            kept[name] = [values[row] for row in rows] if len(values) else values
        keys = tuple(self.keys[row] for row in rows)
        return dataclasses.replace(self, keys=keys, labels=self.labels[rows], **kept)

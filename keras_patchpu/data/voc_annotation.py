"""One annotation file of Pascal VOC, and the labels that follow from its objects."""

import math
import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np

from keras_patchpu.data.bounded_read import read_at_most
from keras_patchpu.errors import InputError

VOC_LABELS = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
_COLUMN = {name: column for column, name in enumerate(VOC_LABELS)}
_DIFFICULT = {"negative": 0.0, "ignore": -1.0, "positive": 1.0}
# Of a list or of JSON: COCO's largest has 450 MB. Of an annotation: VOC's largest has 20 kB.
_MOST_BYTES, _MOST_XML_BYTES = 2**30, 2**24


def read_annotation(file: pathlib.Path, default_image: str) -> tuple[str, tuple]:
    """Reads one XML file.

    Args:
        file: the annotation.
        default_image: file name of the image where the XML has no `<filename>`.

    Returns:
        The image's file name and its objects: boxes, float32 `(num_boxes, 4)` of `ymin, xmin, ymax,
        xmax` as fractions of the picture, clipped to it; columns, int64 `(num_boxes,)`; difficult,
        bool `(num_boxes,)`.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    missing = "no such annotation: restore it, or take its id out of the list"
    text = read_text(file, missing, _MOST_XML_BYTES)
    # Without these there are no entities to expand, and nothing outside to refer to.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(f"{file}: has a DOCTYPE or ENTITY, which VOC has not: remove it")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(
            f"{file}: not a whole XML file ({error}): restore it, or take its id out of the list"
        ) from error
    image = (root.findtext("filename") or default_image).strip()
    if not is_plain_name(image):
        raise InputError(
            f"{file}: <filename> {image!r} is not a file name: write it without folders"
        )
    height, width = (_number(root, f"size/{side}", file) for side in ("height", "width"))
    if height <= 0 or width <= 0:
        raise InputError(
            f"{file}: <size> is {width:g} x {height:g}: correct it to the image's size"
        )

    boxes, columns, flags = [], [], []
    for item in root.iterfind("object"):
        label = (item.findtext("name") or "").strip()
        if label not in _COLUMN:
            raise InputError(
                f"{file}: unknown class name {label!r}: correct it to one of VOC's 20 "
                f"({', '.join(VOC_LABELS)})"
            )
        ymin, xmin, ymax, xmax = (
            _number(item, f"bndbox/{side}", file) for side in ("ymin", "xmin", "ymax", "xmax")
        )
        if ymin > ymax or xmin > xmax:
            raise InputError(
                f"{file}: a box of {label} ends before it begins: correct its <bndbox>"
            )
        # VOC counts pixels from 1 and includes the last one.
        boxes.append(((ymin - 1) / height, (xmin - 1) / width, ymax / height, xmax / width))
        columns.append(_COLUMN[label])
        flags.append((item.findtext("difficult") or "0").strip() == "1")
    boxes = np.clip(np.array(boxes, np.float32).reshape(-1, 4), 0.0, 1.0)
    return image, (boxes, np.array(columns, np.int64), np.array(flags, bool))


def difficult_label(difficult: str) -> float:
    """The label of a class of which only difficult objects are there: 0, -1 or 1."""
    if difficult not in _DIFFICULT:
        raise InputError(
            f"Invalid value for argument `difficult`. Expected one of {tuple(_DIFFICULT)}. "
            f"Received: difficult={difficult!r}"
        )
    return _DIFFICULT[difficult]


def truth_from_objects(columns: np.ndarray, flags: np.ndarray, difficult_only: float) -> np.ndarray:
    """The labels of one image, float32 `(20,)`.

    Args:
        columns: int `(num_boxes,)`, the label of each object.
        flags: bool `(num_boxes,)`, true for difficult objects.
        difficult_only: label of a class with difficult objects only.
    """
    labels = np.zeros(len(VOC_LABELS), np.float32)
    labels[columns] = difficult_only
    labels[columns[~flags]] = 1.0
    return labels


def is_plain_name(name: str) -> bool:
    """Whether the name stays in its folder, and on one line of an error message."""
    return name not in ("", ".", "..") and name.isprintable() and not set(name) & set("/\\:")


def read_text(
    file: pathlib.Path, missing: str = "no such file", most_bytes: int = _MOST_BYTES
) -> str:
    """The text of a file, or an `InputError` with the reason why it cannot be read."""
    try:
        return read_at_most(file, most_bytes).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{file}: {missing}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text ({error}): restore it") from error


def _number(element, tag, file):
    text = element.findtext(tag)
    try:
        number = float(text if text is not None else "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        found = "missing" if text is None else f"{text!r}, not a number"
        raise InputError(f"{file}: <{tag}> is {found}: correct it, or take its id out of the list")
    return number

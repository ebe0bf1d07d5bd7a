"""CUB-200-2011 and its attributes from a folder on disk, in the layout of the official archive."""

import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.on_disk import is_inside_name, require_pictures
from keras_patchpu.data.voc_annotation import read_text
from keras_patchpu.data.written_names import check_label_names
from keras_patchpu.errors import InputError

_UNPACK = "unpack CUB_200_2011.tgz of https://data.caltech.edu/records/65de6-vp158 again"
_MISSING = f"no such file: {_UNPACK}"
_SPLITS = {"train": "1", "test": "0"}


def read_cub(path: str | os.PathLike, split: str) -> Examples:
    """Reads one split of CUB-200-2011: N pictures of a bird each, L = 312 attributes.

    An attribute is present where `is_present` says 1, whatever its certainty, and absent
    elsewhere, even where the part was not visible. So do Cole et al. (MLSPL,
    `preproc/format_cub.py`) and those after them. Keys are the image ids in five digits, by which
    `draw_single_positive(..., draw="mlspl")` walks through the images in their order.

    Args:
        path: the folder `CUB_200_2011`, or the one above it.
        split: `"train"` or `"test"`.

    Returns:
        `Examples` in the order of `images.txt`; images are paths. There is one box, the bird's: it
        is given for each attribute that is present, as fractions clipped to the picture.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    if split not in _SPLITS:
        raise InputError(f"CUB has no split {split!r}: choose one of {', '.join(_SPLITS)}")
    folder = pathlib.Path(path)
    if (folder / "CUB_200_2011").is_dir():
        folder = folder / "CUB_200_2011"
    names = _read_table(folder / "images.txt")
    flags = _read_table(folder / "train_test_split.txt", names)
    label_names = _read_attribute_names(folder)
    ids = [image_id for image_id, flag in flags.items() if flag == _SPLITS[split]]
    if not ids:
        raise InputError(f"{folder / 'train_test_split.txt'}: no image is in {split}: restore it")
    for image_id in ids:
        if not is_inside_name(names[image_id]):
            raise InputError(
                f"{folder / 'images.txt'}: {names[image_id]!r} is not a picture in a folder: "
                "restore it"
            )
    require_pictures(folder / "images", [names[image_id] for image_id in ids], _UNPACK)

    labels = _read_labels(folder / "attributes" / "image_attribute_labels.txt", names, label_names)
    labels = labels[np.isin(list(names), ids)]
    birds = _read_table(folder / "bounding_boxes.txt", names)
    paths = [folder / "images" / names[image_id] for image_id in ids]
    present = [np.flatnonzero(row) for row in labels]
    boxes = [
        np.tile(_fractions(folder, birds[image_id], path), (len(columns), 1))
        for image_id, path, columns in zip(ids, paths, present, strict=True)
    ]
    return Examples(
        name="CUB-200-2011",
        split=split,
        label_names=label_names,
        keys=tuple(f"{image_id:05d}" for image_id in ids),
        images=[str(path) for path in paths],
        labels=labels,
        boxes=boxes,
        box_labels=present,
        box_difficult=[np.zeros(len(columns), bool) for columns in present],
    )


def _read_table(file, ids=None):
    """The rest of each line by the number that it begins with, in the order of these numbers."""
    rows = {}
    for line in filter(str.strip, read_text(file, _MISSING).splitlines()):
        number, _, rest = line.strip().partition(" ")
        # Python reads no number of thousands of digits.
        whole = number.isdecimal() and len(number) < 10
        if not whole or not rest.strip() or int(number) in rows:
            raise InputError(
                f"{file}: cannot read the line {line!r}, or its id is there twice: {_UNPACK}"
            )
        rows[int(number)] = rest.strip()
    if not rows:
        raise InputError(f"{file}: is empty: {_UNPACK}")
    if ids is not None and rows.keys() != ids.keys():
        differing = min(rows.keys() ^ ids.keys())
        raise InputError(
            f"{file}: image {differing} is only in one of it and images.txt: {_UNPACK}"
        )
    return dict(sorted(rows.items()))


def _read_attribute_names(folder):
    # The official archive has the file beside the folder.
    places = (folder / "attributes", folder, folder.resolve().parent)
    found = [place / "attributes.txt" for place in places if (place / "attributes.txt").exists()]
    names = _read_table(found[0] if found else places[0] / "attributes.txt")
    if list(names) != list(range(1, len(names) + 1)):
        raise InputError(f"{found[0]}: the ids do not count from 1 to {len(names)}: {_UNPACK}")
    check_label_names(found[0], names.values())
    return tuple(names.values())


def _read_labels(file, names, label_names):
    """float32 `(len(names), L)` of 1 and 0."""
    if not file.exists() or not file.stat().st_size:
        raise InputError(f"{file}: missing or empty: {_UNPACK}")
    try:
        # Some lines of the official file have more columns than five: the first three count.
        triples = np.loadtxt(file, np.int32, comments=None, usecols=(0, 1, 2), encoding="utf-8-sig")
    except (OSError, OverflowError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}): {_UNPACK}") from error
    images, attributes, present = triples.reshape(-1, 3).T
    ids = np.array(list(names))
    rows = np.minimum(np.searchsorted(ids, images), len(ids) - 1)
    columns = attributes - 1
    wrong = (ids[rows] != images) | (columns < 0) | (columns >= len(label_names))
    wrong |= (present != 0) & (present != 1)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{file}: entry {line + 1} is of image {images[line]} and attribute "
            f"{attributes[line]} with {present[line]}: expected an id of images.txt, an attribute "
            f"from 1 to {len(label_names)} and 0 or 1"
        )
    labels = np.full((len(ids), len(label_names)), -1, np.float32)
    labels[rows, columns] = present
    if (labels < 0).any() or len(rows) != labels.size:
        raise InputError(
            f"{file}: has {len(rows):,} lines, but expected one for each of {len(ids):,} images "
            f"and {len(label_names)} attributes: {_UNPACK}"
        )
    return labels


def _fractions(folder, bird, path):
    """The bird's box, float32 `(4,)` of `ymin, xmin, ymax, xmax`."""
    try:
        x, y, width, height = numbers = np.array(bird.split(), np.float64)
        whole = np.isfinite(numbers).all() and min(width, height) >= 0
    except ValueError:
        whole = False
    if not whole:
        raise InputError(
            f"{folder / 'bounding_boxes.txt'}: {bird!r} is not x, y, width and height: {_UNPACK}"
        )
    try:
        rows, columns, _ = tf.io.extract_jpeg_shape(path.read_bytes()).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise InputError(f"{path}: truncated or not a JPEG: {_UNPACK}") from error
    edges = np.array([y / rows, x / columns, (y + height) / rows, (x + width) / columns])
    return np.clip(edges, 0.0, 1.0).astype(np.float32)

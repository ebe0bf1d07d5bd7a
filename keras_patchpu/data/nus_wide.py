"""NUS-WIDE from a folder on disk, in the layout of the official archives."""

import os
import pathlib

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.on_disk import is_inside_name, list_pictures
from keras_patchpu.data.voc_annotation import is_plain_name, read_text
from keras_patchpu.errors import InputError

_PAGE = "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
_LISTS = {"train": "TrainImagelist.txt", "test": "TestImagelist.txt"}
_MISSING = f"no such file: unpack ConceptsList, ImageList and Groundtruth of {_PAGE}"


def read_nus_wide(path: str | os.PathLike, split: str) -> Examples:
    """Reads one split of NUS-WIDE: N images, L = 81 concepts.

    The pictures cannot be downloaded whole any more: those that Flickr has lost are left out, and
    what is left counts. Print `len(examples)` beside `official_count("NUS-WIDE", split)` (161,789
    and 107,859), for results on different remainders are not to be compared. Images without any
    concept, a fifth of all, stay in; `drop_unlabelled` takes them out of a training split.

    Args:
        path: folder with `ConceptsList/Concepts81.txt`, `ImageList/TrainImagelist.txt`,
            `Groundtruth/TrainTestLabels/Labels_airport_Train.txt` and the like, and the pictures
            in `Flickr/actor/` or `images/actor/` and the like.
        split: `"train"` or `"test"`.

    Returns:
        `Examples` in the order of the official list; images are paths, keys such as
        `actor/0001_2124494179.jpg`. There are no boxes.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    if split not in _LISTS:
        raise InputError(f"NUS-WIDE has no split {split!r}: choose one of {', '.join(_LISTS)}")
    folder = pathlib.Path(path)
    concepts_file = folder / "ConceptsList" / "Concepts81.txt"
    concepts = read_text(concepts_file, _MISSING).split()
    if not concepts or len(set(concepts)) < len(concepts) or not all(map(is_plain_name, concepts)):
        raise InputError(f"{concepts_file}: expected one concept a line, each once: restore it")
    names = _read_list(folder / "ImageList" / _LISTS[split])
    truth = folder / "Groundtruth" / "TrainTestLabels"
    labels = np.stack(
        [
            _read_labels(truth / f"Labels_{concept}_{split.title()}.txt", len(names))
            for concept in concepts
        ],
        axis=1,
    )

    pictures = next((folder / n for n in ("Flickr", "images") if (folder / n).is_dir()), None)
    if pictures is None:
        raise InputError(
            f"{folder}: no folder Flickr or images: put the pictures there as in Flickr/{names[0]}"
        )
    there = list_pictures(pictures, "put the pictures there")
    rows = [row for row, name in enumerate(names) if name in there]
    if not rows:
        raise InputError(
            f"{pictures}: has none of the {len(names):,} pictures of {split}: put them there as "
            f"in {pictures.name}/{names[0]}"
        )
    keys = tuple(names[row] for row in rows)
    return Examples(
        name="NUS-WIDE",
        split=split,
        label_names=tuple(concepts),
        keys=keys,
        images=[str(pictures / key) for key in keys],
        labels=labels[rows],
    )


def _read_list(file):
    lines = [line.strip() for line in read_text(file, _MISSING).splitlines()]
    # The official lists are written on Windows.
    names = [line.replace("\\", "/") for line in lines if line]
    if not names:
        raise InputError(f"{file}: the list is empty: restore it")
    for name in names:
        if not is_inside_name(name):
            raise InputError(
                f"{file}: {name!r} is not a picture in a folder: write lines such as "
                "actor\\0001_2124494179.jpg"
            )
    if len(set(names)) < len(names):
        raise InputError(f"{file}: a picture is there twice: list each once")
    return names


def _read_labels(file, length):
    values = read_text(file, _MISSING).split()
    strange = set(values) - {"0", "1"}
    if strange:
        raise InputError(f"{file}: {min(strange)!r} is neither 0 nor 1: restore it")
    if len(values) != length:
        raise InputError(
            f"{file}: has {len(values):,} labels, but the list of images has {length:,}: "
            "take both from the same archive"
        )
    return np.array(values, np.float32)

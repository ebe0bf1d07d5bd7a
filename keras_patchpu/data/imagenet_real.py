"""ImageNet's validation pictures under the reassessed labels (ReaL) of Beyer et al., 2020."""

import os
import pathlib

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.on_disk import list_pictures, read_json
from keras_patchpu.data.voc_annotation import read_text
from keras_patchpu.data.written_names import check_label_names
from keras_patchpu.errors import InputError

_REAL = "https://github.com/google-research/reassessed-imagenet"
_PICTURES = "unpack ILSVRC2012_img_val.tar of https://image-net.org in it"
_SYNSETS = ("LOC_synset_mapping.txt", "synset_words.txt")


def read_imagenet_real(path: str | os.PathLike) -> Examples:
    """Reads ImageNet ReaL: N images, L = 1000 labels, the only split with all its labels.

    Images to which the raters gave no label are left out, as Beyer et al. ("Are we done with
    ImageNet?", 2020) do: 46,837 of 50,000 remain. ImageNet's training pictures have one label
    each, so there is no training split to this.

    Args:
        path: folder with `real.json`, the names in `LOC_synset_mapping.txt` or `synset_words.txt`
            (lines such as `n01440764 tench, Tinca tinca`, sorted), and the pictures in `val/`,
            all in it or in one folder for each WNID.

    Returns:
        `Examples` of the split `"val"` in the order of `real.json`; images are paths, keys their
        file names. Labels of the same words (two cranes) have their WNID behind. There are no
        boxes.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    folder = pathlib.Path(path)
    label_names = _read_label_names(folder)
    file = folder / "real.json"
    present = read_json(file, f"no such file: download it from {_REAL}")
    _check(file, present, len(label_names))
    places = {name.rsplit("/", 1)[-1]: name for name in list_pictures(folder / "val", _PICTURES)}

    numbers = [number for number, columns in enumerate(present) if columns]
    keys = [f"ILSVRC2012_val_{number + 1:08d}.JPEG" for number in numbers]
    absent = [key for key in keys if key not in places]
    if absent:
        raise InputError(
            f"{folder / 'val'}: {len(absent):,} of {len(keys):,} pictures are not there, the first "
            f"is {absent[0]}: {_PICTURES}"
        )
    labels = np.zeros((len(keys), len(label_names)), np.float32)
    for row, number in enumerate(numbers):
        labels[row, present[number]] = 1.0
    return Examples(
        name="ImageNet-ReaL",
        split="val",
        label_names=label_names,
        keys=tuple(keys),
        images=[str(folder / "val" / places[key]) for key in keys],
        labels=labels,
    )


def _read_label_names(folder):
    file = next((folder / name for name in _SYNSETS if (folder / name).exists()), None)
    if file is None:
        raise InputError(
            f"{folder}: neither {' nor '.join(_SYNSETS)} is there: put one of them beside "
            "real.json; the first is in ImageNet's archive on Kaggle, the second in Caffe's "
            "caffe_ilsvrc12.tar.gz"
        )
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    wnids = [line.partition(" ")[0] for line in lines]
    words = [line.partition(" ")[2].strip() for line in lines]
    if not lines or wnids != sorted(set(wnids)) or not all(words):
        raise InputError(
            f"{file}: expected lines such as 'n01440764 tench, Tinca tinca', sorted by WNID, for "
            "ReaL counts the classes in this order: restore it"
        )
    check_label_names(file, words)
    return tuple(
        word if words.count(word) == 1 else f"{word} ({wnid})"
        for wnid, word in zip(wnids, words, strict=True)
    )


def _check(file, present, num_labels):
    whole = isinstance(present, list) and all(isinstance(columns, list) for columns in present)
    if not whole or not any(present):
        raise InputError(
            f"{file}: not a list with the class numbers of each picture: download it from {_REAL}"
        )
    for number, columns in enumerate(present):
        if not all(isinstance(c, int) and 0 <= c < num_labels for c in columns):
            raise InputError(
                f"{file}: list {number} has a class that is not a number from 0 to "
                f"{num_labels - 1}: download it from {_REAL}, and check the names of the classes"
            )

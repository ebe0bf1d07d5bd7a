"""What `--data` of the recipes names."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from keras_patchpu.data.coco import read_coco
from keras_patchpu.data.coco_tfds import read_coco_tfds
from keras_patchpu.data.cub import read_cub
from keras_patchpu.data.digits import read_digits
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.imagenet_real import read_imagenet_real
from keras_patchpu.data.nus_wide import read_nus_wide
from keras_patchpu.data.voc import read_voc, usual_splits
from keras_patchpu.data.voc_tfds import read_voc_tfds
from keras_patchpu.errors import InputError

LOOKED_FOR = ("VOCdevkit", "data/VOCdevkit", "~/VOCdevkit")
_VOC_LISTS = "ImageSets/Main"
# For each data set the files that tell it from the others; one of them is enough.
_MARKS = {
    "VOC": tuple(
        f"{folder}{_VOC_LISTS}"
        for folder in ("", "VOC2012/", "VOCdevkit/VOC2012/", "VOC2007/", "VOCdevkit/VOC2007/")
    ),
    "COCO": ("annotations/instances_*.json",),
    "NUS-WIDE": ("ImageList", "ConceptsList", "Groundtruth/TrainTestLabels"),
    "CUB": ("train_test_split.txt", "CUB_200_2011"),
    "ImageNet ReaL": ("real.json",),
}


def read_source(
    source: str | os.PathLike | None, seed: int = 0, splits: Sequence[str] = ("train", "test")
) -> tuple[Examples, ...]:
    """The training and the test split of a source, or one of them.

    ImageNet ReaL has labels for its test split only: its training split is empty, so that it can be
    evaluated on, but `drop_unlabelled` refuses to train on it.

    Args:
        source: `"digits"`, `"tfds"` (VOC), `"coco-tfds"`, the path of a folder with VOC, COCO,
            NUS-WIDE, CUB or ImageNet ReaL as their readers expect it, or None for the first folder
            of `LOOKED_FOR`.
        seed: of the embedded scenes.
        splits: which to read, of `"train"` and `"test"`. As in the field's papers these are train
            and val of COCO and VOC 2012, trainval and test of VOC 2007.

    Returns:
        As many splits as were asked for, in their order.

    Raises:
        InputError: if it is not there or cannot be read.
    """
    read = _reader(source, seed)
    return tuple(read(split) for split in splits)


def _reader(source, seed):
    """A function that reads the split `"train"` or `"test"`."""
    official = {"train": "train", "test": "val"}
    if source == "digits":
        return lambda split: read_digits(split, seed=seed)
    if source == "tfds":
        return lambda split: read_voc_tfds(official[split])
    if source == "coco-tfds":
        return lambda split: read_coco_tfds(official[split])
    if source is None:
        folders = [pathlib.Path(name).expanduser() for name in LOOKED_FOR]
        source = next((folder for folder in folders if folder.is_dir()), None)
    if source is None:
        raise InputError(
            f"No data: looked for the folders {', '.join(LOOKED_FOR)} and found none of them.\n"
            "With Pascal VOC 2012 on disk: --data /path/to/VOCdevkit; --data tfds fetches it.\n"
            "Without: --data digits trains on an embedded data set in minutes."
        )
    match _recognise(pathlib.Path(source)):
        case "VOC":
            splits = usual_splits(source)
            return lambda split: read_voc(source, splits[split])
        case "COCO":
            return lambda split: read_coco(source, official[split])
        case "NUS-WIDE":
            return lambda split: read_nus_wide(source, split)
        case "CUB":
            return lambda split: read_cub(source, split)
        case _:
            return lambda split: _read_imagenet_real(source, split)


def _read_imagenet_real(source, split):
    test = read_imagenet_real(source)
    if split == "test":
        return test
    empty = "train (ReaL labels the validation pictures only: it is to evaluate on)"
    return dataclasses.replace(test.select([]), split=empty)


def _recognise(path):
    for name, marks in _MARKS.items():
        if any(next(path.glob(mark), None) for mark in marks):
            return name
    wanted = "; ".join(f"{name}: {' or '.join(marks)}" for name, marks in _MARKS.items())
    wrong = "not a VOC folder, nor of another data set" if path.is_dir() else "no such folder"
    raise InputError(
        f"{path}: {wrong} (looked in it for {wanted}): give the VOCdevkit folder, or the folder in "
        "which the archives of the data set were unpacked"
    )

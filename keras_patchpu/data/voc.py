"""Pascal VOC from a folder on disk, in the layout of the official devkit."""

import os
import pathlib

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.on_disk import list_pictures
from keras_patchpu.data.voc_annotation import (
    VOC_LABELS,
    difficult_label,
    is_plain_name,
    read_annotation,
    read_text,
    truth_from_objects,
)
from keras_patchpu.errors import InputError

_UNPACK = "unpack the VOC archive again"


def read_voc(path: str | os.PathLike, split: str, difficult: str = "negative") -> Examples:
    """Reads one split of Pascal VOC: N images, L = 20 labels.

    The XML annotations are the truth. The `{class}_{split}.txt` files, which say the same in the
    official devkit, are read where they exist for one thing only: a class that they mark 0 (only
    difficult objects) and that has no object in the XML counts as difficult there, for some copies
    of VOC leave the difficult objects out of the XML.

    Images without any positive label stay in: evaluation needs them. `drop_unlabelled` takes them
    out of a training split.

    `VOCdevkit`, `VOC2012`, `Annotations` and `JPEGImages` may be links, as where a disk is shared.
    Files in the last two may be links to others of the same folder; one that leads out of it is
    refused, whether the split has it or not.

    Args:
        path: the `VOCdevkit` folder, the folder above it, or a folder such as `VOC2012` or
            `VOC2007` itself. Of a devkit that holds both, `VOC2012` is read.
        split: a list in `ImageSets/Main`, such as `"train"`, `"val"` or `"trainval"`.
        difficult: label of a class of which an image shows difficult objects only: `"negative"`
            (0), `"ignore"` (-1) or `"positive"` (1).

    Returns:
        `Examples`; images are paths, keys are file names, boxes have been turned from VOC's 1-based
        inclusive pixels into fractions and are clipped to the picture.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    difficult_only = difficult_label(difficult)
    folder = _find_folder(pathlib.Path(path))
    ids = _read_split(folder, split)
    marked_difficult = _read_difficult_only(folder, split)
    present_files = list_pictures(folder / "JPEGImages", _UNPACK)
    # For the links: what is missing is told with its id below.
    list_pictures(folder / "Annotations", _UNPACK)

    file_names, objects = [], []
    for image_id in ids:
        annotation = folder / "Annotations" / f"{image_id}.xml"
        file_name, image_objects = read_annotation(annotation, default_image=f"{image_id}.jpg")
        if file_name not in present_files:
            raise InputError(
                f"{annotation}: its image {folder / 'JPEGImages' / file_name} is not there: "
                f"restore it, or take {image_id} out of ImageSets/Main/{split}.txt"
            )
        file_names.append(file_name)
        objects.append(image_objects)
    if len(set(file_names)) < len(file_names):
        twice = next(name for name in file_names if file_names.count(name) > 1)
        raise InputError(
            f"{folder / 'ImageSets/Main' / split}.txt: two of its images have the file {twice}: "
            "list every image once"
        )

    boxes, columns, flags = zip(*objects, strict=True)
    labels = np.stack(
        [truth_from_objects(c, f, difficult_only) for c, f in zip(columns, flags, strict=True)]
    )
    for row, image_id in enumerate(ids):
        for column in marked_difficult.get(image_id, ()):
            if column not in columns[row]:
                labels[row, column] = difficult_only
    return Examples(
        name=folder.name,
        split=split,
        label_names=VOC_LABELS,
        keys=tuple(file_names),
        images=[str(folder / "JPEGImages" / name) for name in file_names],
        labels=labels,
        boxes=boxes,
        box_labels=columns,
        box_difficult=flags,
    )


def usual_splits(path: str | os.PathLike) -> dict[str, str]:
    """The lists that the field trains and tests on, under `"train"` and `"test"`.

    `trainval` and `test` of VOC 2007; `train` and `val` of VOC 2012, whose test labels are not
    public.

    Raises:
        InputError: as `read_voc`.
    """
    folder = _find_folder(pathlib.Path(path))
    if folder.name == "VOC2007" and (folder / "ImageSets" / "Main" / "test.txt").exists():
        return {"train": "trainval", "test": "test"}
    return {"train": "train", "test": "val"}


def _find_folder(path):
    candidates = [path]
    for name in ("VOC2012", "VOC2007"):
        candidates += [path / name, path / "VOCdevkit" / name]
    for folder in candidates:
        if (folder / "ImageSets" / "Main").is_dir():
            for name in ("Annotations", "JPEGImages"):
                if not (folder / name).is_dir():
                    raise InputError(
                        f"{folder / name}: no such folder, but a VOC folder needs it: {_UNPACK}"
                    )
            # Its own name and not that of what it links to, and a name where the path is ".".
            return folder.resolve() if ".." in folder.parts else folder.absolute()
    looked_for = ", ".join(str(folder / "ImageSets" / "Main") for folder in candidates)
    raise InputError(
        f"{path}: {'not a VOC folder' if path.exists() else 'no such folder'} (looked for "
        f"{looked_for}): give the VOCdevkit folder, or the VOC2007 or VOC2012 folder inside it"
    )


def _read_split(folder, split):
    lists = folder / "ImageSets" / "Main"
    names = {file.stem for file in lists.glob("*.txt")}
    class_files = {f"{label}_{name}" for label in VOC_LABELS for name in names}
    splits = sorted(names - class_files)
    if split not in splits:
        raise InputError(
            f"{lists}: no list {split}.txt: choose one of the splits that are there: "
            f"{', '.join(splits) or 'none'}"
        )
    file = lists / f"{split}.txt"
    ids = read_text(file).split()
    if not ids:
        raise InputError(f"{file}: the list is empty: put one image id on each line")
    for image_id in ids:
        if not is_plain_name(image_id):
            raise InputError(
                f"{file}: {image_id!r} is not an image id: write ids without folders, such as "
                "2008_000002"
            )
    return ids


def _read_difficult_only(folder, split):
    """For each image id the columns that the class files mark 0."""
    marked = {}
    for column, label in enumerate(VOC_LABELS):
        file = folder / "ImageSets" / "Main" / f"{label}_{split}.txt"
        if not file.exists():
            continue
        for line in read_text(file).splitlines():
            image_id, *flag = line.split() or ("", "-1")
            if flag not in (["1"], ["0"], ["-1"]):
                raise InputError(
                    f"{file}: cannot read the line {line!r}: expected an image id and 1, 0 or -1"
                )
            if flag == ["0"]:
                marked.setdefault(image_id, []).append(column)
    return marked

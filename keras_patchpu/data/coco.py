"""MS COCO from a folder on disk, in the layout of the official archives."""

import os
import pathlib

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.on_disk import read_json, require_pictures
from keras_patchpu.data.voc_annotation import is_plain_name
from keras_patchpu.data.written_names import check_label_names
from keras_patchpu.errors import InputError

_HOST = "http://images.cocodataset.org"
# The outlines are most of the file: they go as soon as they are parsed.
_KEPT = {
    *("images", "annotations", "categories"),
    *("id", "file_name", "height", "width", "name"),
    *("image_id", "category_id", "bbox", "iscrowd"),
}


def read_coco(path: str | os.PathLike, split: str, year: int | None = None) -> Examples:
    """Reads one split of COCO: N images with annotations, L = 80 labels.

    An image has the labels of all its objects, crowds and small ones too; images without any
    object are left out. So do Cole et al. (MLSPL, `preproc/format_coco.py`) and those after them:
    82,081 and 40,137 images for 2014. Keys are the image ids as unpadded strings, by which
    `draw_single_positive(..., draw="mlspl")` repeats their labels.

    Args:
        path: folder with `annotations/instances_train2014.json` and the like, and the pictures in
            `train2014/`, `val2014/` and the like.
        split: `"train"` or `"val"`.
        year: 2014 or 2017; by default that of which more is there, 2014 if that is undecided.

    Returns:
        `Examples` in the order of the image ids; images are paths, labels in the order of the
        `categories` of the JSON, boxes fractions clipped to the picture, `box_difficult` tells
        crowds.

    Raises:
        InputError: one line naming the file at fault and what to do.
    """
    if split not in ("train", "val"):
        raise InputError(f"COCO has no split {split!r} with labels: choose train or val")
    folder = pathlib.Path(path)
    if year is None:
        year = max((2014, 2017), key=lambda year: len(_instance_files(folder, year)))
    file = folder / "annotations" / f"instances_{split}{year}.json"
    archive = f"annotations_trainval{year}.zip"
    content = read_json(
        file,
        f"no such file: unpack {_HOST}/annotations/{archive} in {folder}",
        lambda item: {name: item[name] for name in _KEPT & item.keys()},
    )
    label_names, columns, images, annotations = _check(file, content)
    objects = _objects_by_image(file, annotations, images, columns)
    if not objects:
        raise InputError(f"{file}: has no annotations: give the official {archive}")

    ids = sorted(objects)
    names = [images[image_id]["file_name"] for image_id in ids]
    pictures = folder / f"{split}{year}"
    require_pictures(pictures, names, f"unpack {_HOST}/zips/{split}{year}.zip in {folder}")
    boxes, box_labels, crowds = zip(
        *(_as_arrays(file, images[image_id], objects[image_id]) for image_id in ids), strict=True
    )
    labels = np.zeros((len(ids), len(label_names)), np.float32)
    for row, present in enumerate(box_labels):
        labels[row, present] = 1.0
    return Examples(
        name=f"COCO{year}",
        split=split,
        label_names=label_names,
        keys=tuple(map(str, ids)),
        images=[str(pictures / name) for name in names],
        labels=labels,
        boxes=boxes,
        box_labels=box_labels,
        box_difficult=crowds,
    )


def _instance_files(folder, year):
    files = [folder / "annotations" / f"instances_{split}{year}.json" for split in ("train", "val")]
    return [file for file in files if file.exists()]


def _check(file, content):
    """The label names, the column of each category id, the image of each id, the annotations."""
    restore = "restore the official file"
    try:
        categories, images = content["categories"], content["images"]
        annotations = list(content["annotations"])
        columns = {item["id"]: column for column, item in enumerate(categories)}
        label_names = tuple(str(item["name"]) for item in categories)
        by_id = {item["id"]: item for item in images}
        sides = [float(item[side]) for item in images for side in ("height", "width")]
        bad_names = [str(i["file_name"]) for i in images if not is_plain_name(str(i["file_name"]))]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: not as COCO writes images, categories and annotations "
            f"({type(error).__name__}: {error}): {restore}"
        ) from error
    check_label_names(file, label_names)
    if len(columns) < len(categories) or len(set(label_names)) < len(categories):
        raise InputError(f"{file}: a category is there twice: {restore}")
    if len(by_id) < len(images) or not all(isinstance(image_id, int) for image_id in by_id):
        raise InputError(f"{file}: an image id is there twice or is not a whole number: {restore}")
    if not all(0 < side < np.inf for side in sides):
        raise InputError(f"{file}: an image has no height or no width: {restore}")
    if bad_names:
        raise InputError(f"{file}: {bad_names[0]!r} is not a file name: write it without folders")
    return label_names, columns, by_id, annotations


def _objects_by_image(file, annotations, images, columns):
    """For each image id its objects: `(bbox, column, crowd)`."""
    objects = {}
    for number, item in enumerate(annotations):
        try:
            image_id, category, bbox = item["image_id"], item["category_id"], item["bbox"]
            known = image_id in images and category in columns
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{file}: annotation {number} lacks an image_id, category_id or bbox "
                f"({type(error).__name__}: {error}): take it out or restore the official file"
            ) from error
        if not known:
            raise InputError(
                f"{file}: annotation {number} is of image {image_id} and category {category}, of "
                "which one is not in the file: take it out or restore the official file"
            )
        crowd = bool(item.get("iscrowd", 0))
        objects.setdefault(image_id, []).append((bbox, columns[category], crowd))
    return objects


def _as_arrays(file, image, objects):
    bboxes, columns, crowds = zip(*objects, strict=True)
    try:
        x, y, width, height = np.array(bboxes, np.float64).T
        whole = np.isfinite([x, y, width, height]).all() and min(width.min(), height.min()) >= 0
    except (OverflowError, TypeError, ValueError):
        whole = False
    if not whole:
        raise InputError(
            f"{file}: image {image['id']} has a bbox that is not x, y, width and height in pixels: "
            "correct it or restore the official file"
        )
    edges = np.stack([y, x, y + height, x + width], axis=1)
    fractions = edges / np.tile([float(image["height"]), float(image["width"])], 2)
    boxes = np.clip(fractions, 0.0, 1.0).astype(np.float32)
    return boxes, np.array(columns, np.int64), np.array(crowds, bool)

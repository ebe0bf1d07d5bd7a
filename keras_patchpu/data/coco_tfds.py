"""MS COCO 2014 from TensorFlow Datasets (`coco/2014`), which downloads it."""

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.tfds_split import read_tfds_split

_ADVICE = (
    "try again, or unpack train2014.zip, val2014.zip and annotations_trainval2014.zip of "
    "https://cocodataset.org/#download into one folder and give that"
)


def read_coco_tfds(split: str, data_dir: str | None = None) -> Examples:
    """Reads one split of COCO 2014 through TFDS, which downloads 37 GB on the first call.

    The pictures stay encoded, in memory: 13 GB for train and 6 GB for val. `read_coco` reads the
    same from a folder and leaves the pictures there. Keys, labels, boxes and order are the same.

    Args:
        split: `"train"` or `"val"` (TFDS's test splits have no annotations).
        data_dir: where TFDS keeps its data; by default its own default.

    Returns:
        `Examples` with encoded pictures (`bytes`).

    Raises:
        InputError: unknown split, no `tensorflow_datasets`, or the download failed.
    """
    found, label_names = read_tfds_split("coco/2014", split, data_dir, _ADVICE)
    annotated = (row for row in found if len(row["objects"]["label"]))
    rows = sorted(annotated, key=lambda row: row["image/id"])
    labels = np.zeros((len(rows), len(label_names)), np.float32)
    for number, row in enumerate(rows):
        labels[number, row["objects"]["label"]] = 1.0
    return Examples(
        name="COCO2014",
        split=split,
        label_names=label_names,
        keys=tuple(str(row["image/id"]) for row in rows),
        images=[row["image"] for row in rows],
        labels=labels,
        boxes=[row["objects"]["bbox"] for row in rows],
        box_labels=[row["objects"]["label"] for row in rows],
        box_difficult=[row["objects"]["is_crowd"] for row in rows],
    )

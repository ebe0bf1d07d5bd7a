"""Pascal VOC 2012 from TensorFlow Datasets (`voc/2012`), which downloads it."""

import numpy as np
import tensorflow as tf

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.tfds_split import read_tfds_split
from keras_patchpu.data.voc_annotation import VOC_LABELS, difficult_label, truth_from_objects

_ADVICE = (
    "its mirror may be down: put VOCtrainval_11-May-2012.tar and VOC2012test.tar into manual_dir "
    "({manual_dir}), or unpack the first anywhere and give its VOCdevkit folder"
)


def read_voc_tfds(split: str, difficult: str = "negative", data_dir: str | None = None) -> Examples:
    """Reads one split of VOC2012 through TFDS, which downloads 4 GB on the first call.

    The pictures stay encoded, in memory. Keys, labels, boxes and order are those of `read_voc` on
    the official devkit: TFDS keeps VOC's 1-based `xmin` and `ymin`, so the one pixel is taken off.

    Args:
        split: `"train"` or `"val"` (TFDS's test split has no annotations).
        difficult: as for `read_voc`.
        data_dir: where TFDS keeps its data; by default its own default.

    Returns:
        `Examples` with encoded pictures (`bytes`).

    Raises:
        InputError: unknown split, no `tensorflow_datasets`, or the download failed.
    """
    difficult_only = difficult_label(difficult)
    found, _ = read_tfds_split("voc/2012", split, data_dir, _ADVICE)
    rows = sorted(found, key=lambda row: row["image/filename"])
    columns = [row["objects"]["label"] for row in rows]
    flags = [row["objects"]["is_difficult"] for row in rows]
    return Examples(
        name="VOC2012",
        split=split,
        label_names=VOC_LABELS,
        keys=tuple(row["image/filename"].decode() for row in rows),
        images=[row["image"] for row in rows],
        labels=np.stack(
            [truth_from_objects(c, f, difficult_only) for c, f in zip(columns, flags, strict=True)]
        ),
        boxes=[_boxes_from_zero(row) for row in rows],
        box_labels=columns,
        box_difficult=flags,
    )


def _boxes_from_zero(row):
    height, width, _ = tf.io.extract_jpeg_shape(row["image"]).numpy()
    boxes = row["objects"]["bbox"] - np.array([1 / height, 1 / width, 0, 0], np.float32)
    return np.clip(boxes, 0.0, 1.0)

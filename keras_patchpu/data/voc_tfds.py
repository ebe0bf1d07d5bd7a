"""Pascal VOC 2012 from TensorFlow Datasets (`voc/2012`), which downloads it."""

import numpy as np
import tensorflow as tf

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.voc_annotation import VOC_LABELS, difficult_label, truth_from_objects
from keras_patchpu.errors import InputError

_TFDS_SPLITS = {"train": "train", "val": "validation"}


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
    if split not in _TFDS_SPLITS:
        raise InputError(
            f"tfds voc/2012 has no split {split!r} with annotations: choose one of "
            f"{', '.join(_TFDS_SPLITS)}"
        )
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("voc/2012", data_dir=data_dir)
        _prepare(builder)
    except ImportError as error:
        raise InputError(
            f"reading VOC through TFDS needs more packages ({error}): "
            "pip install 'keras_patchpu[data]'"
        ) from error

    dataset = builder.as_dataset(
        split=_TFDS_SPLITS[split], decoders={"image": tfds.decode.SkipDecoding()}
    )
    rows = sorted(tfds.as_numpy(dataset), key=lambda row: row["image/filename"])
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


def _prepare(builder):
    try:
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises its own, requests' and the file system's errors here.
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"tfds could not download voc/2012 ({type(error).__name__}: {reason}); its mirror may "
            "be down: put VOCtrainval_11-May-2012.tar and VOC2012test.tar into manual_dir "
            f"({builder.data_path.parents[2] / 'downloads' / 'manual'}), or unpack the first "
            "anywhere and give its VOCdevkit folder"
        ) from error


def _boxes_from_zero(row):
    height, width, _ = tf.io.extract_jpeg_shape(row["image"]).numpy()
    boxes = row["objects"]["bbox"] - np.array([1 / height, 1 / width, 0, 0], np.float32)
    return np.clip(boxes, 0.0, 1.0)

"""Data sets, the draw of the single positive, and the input pipeline."""

from keras_patchpu.data.augmentation import AUGMENTATIONS
from keras_patchpu.data.coco import read_coco
from keras_patchpu.data.coco_tfds import read_coco_tfds
from keras_patchpu.data.cub import read_cub
from keras_patchpu.data.decode import decode_and_resize, resize_boxes
from keras_patchpu.data.digits import read_digits
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.folder import read_folder, read_training_folder, scan_folder
from keras_patchpu.data.hold_out import held_out, held_out_first, hold_out
from keras_patchpu.data.imagenet_real import read_imagenet_real
from keras_patchpu.data.loading import load_images, read_encoded
from keras_patchpu.data.nus_wide import read_nus_wide
from keras_patchpu.data.observed_labels import (
    DRAWS,
    known_labels,
    observe,
    read_observed,
    write_observed,
)
from keras_patchpu.data.official_counts import official_count
from keras_patchpu.data.picture_cache import PictureCache
from keras_patchpu.data.pipeline import (
    drop_unknown,
    drop_unlabelled,
    elements,
    evaluation_batches,
    training_batches,
)
from keras_patchpu.data.single_positive import draw_single_positive
from keras_patchpu.data.source import LOOKED_FOR, read_source
from keras_patchpu.data.voc import read_voc
from keras_patchpu.data.voc_annotation import VOC_LABELS
from keras_patchpu.data.voc_tfds import read_voc_tfds

__all__ = [
    "AUGMENTATIONS",
    "DRAWS",
    "LOOKED_FOR",
    "VOC_LABELS",
    "Examples",
    "PictureCache",
    "decode_and_resize",
    "draw_single_positive",
    "drop_unknown",
    "drop_unlabelled",
    "elements",
    "evaluation_batches",
    "held_out",
    "held_out_first",
    "hold_out",
    "known_labels",
    "load_images",
    "observe",
    "official_count",
    "read_coco",
    "read_coco_tfds",
    "read_cub",
    "read_digits",
    "read_encoded",
    "read_folder",
    "read_imagenet_real",
    "read_nus_wide",
    "read_observed",
    "read_source",
    "read_training_folder",
    "read_voc",
    "read_voc_tfds",
    "resize_boxes",
    "scan_folder",
    "training_batches",
    "write_observed",
]

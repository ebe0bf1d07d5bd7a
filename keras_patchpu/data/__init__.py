"""Data sets, the draw of the single positive, and the input pipeline."""

from keras_patchpu.data.decode import decode_and_resize, resize_boxes
from keras_patchpu.data.digits import read_digits
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.loading import load_images, read_encoded
from keras_patchpu.data.pipeline import (
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
    "LOOKED_FOR",
    "VOC_LABELS",
    "Examples",
    "decode_and_resize",
    "draw_single_positive",
    "drop_unlabelled",
    "elements",
    "evaluation_batches",
    "load_images",
    "read_digits",
    "read_encoded",
    "read_source",
    "read_voc",
    "read_voc_tfds",
    "resize_boxes",
    "training_batches",
]

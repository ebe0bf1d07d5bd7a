"""A model as functions that answer: from pictures to labels by name, with their maps."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from keras_patchpu.errors import InputError
from keras_patchpu.localization import patch_coverage
from keras_patchpu.serving.inference import inference_function
from keras_patchpu.serving.pictures import OK, decode_pictures

# How many labels of an image are named in the answer.
TOP_LABELS = 5


def answer_functions(
    model: keras.Model, label_names: Sequence[str], resize: str
) -> tuple[Callable, Callable, list[keras.layers.Layer]]:
    """The two signatures of an exported model, which `export` describes.

    Args:
        model: as for `export`.
        label_names: the L names, in the order of the logits.
        resize: `"stretch"` or `"pad"`.

    Returns:
        A function of `image_bytes` `(N,)`, one of `images` `(N, S, S, 3)`, and the layers whose
        variables they read. Both give a dict of tensors, and neither fails on a broken picture.

    Raises:
        ValueError: the number of names is not that of the model's labels.
        InputError: Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Answers are computed by TensorFlow, and Keras runs on {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow, or ask the exported model"
        )
    num_labels = model.output["logits"].shape[-1]
    if len(label_names) != num_labels:
        raise ValueError(
            f"Invalid value for argument `label_names`. Expected {num_labels} names. "
            f"Received {len(label_names)}: {list(label_names)}"
        )
    size = model.image_size
    label_names = list(label_names)
    top_labels = min(TOP_LABELS, num_labels)
    coverage = patch_coverage(model.attention_grids, model.attention_boxes)
    infer, layers = inference_function(model)

    def answer(images, status):
        outputs = infer(images)
        good = tf.equal(status, OK)[:, None]
        scores = tf.where(good, tf.sigmoid(outputs["logits"]), 0.0)
        label_scores, columns = tf.math.top_k(scores, top_labels)
        # A constant, for a lookup table would have to be initialized by the server.
        labels = tf.where(good, tf.gather(tf.constant(label_names), columns), "")
        attention = tf.gather(outputs["attention"], columns, batch_dims=1)
        maps = tf.tensordot(attention, coverage, axes=1)
        return {
            "scores": scores,
            "labels": labels,
            "label_scores": label_scores,
            "attention_maps": tf.where(good[..., None, None], maps, 0.0),
            "status": status,
        }

    def from_bytes(image_bytes):
        images, status = decode_pictures(image_bytes, size, resize)
        return answer(tf.cast(images, tf.float32), status)

    def from_images(images):
        return answer(images, tf.fill(tf.shape(images)[:1], OK))

    return from_bytes, from_images, layers

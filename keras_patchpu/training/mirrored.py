"""Training on all GPUs of a host: the same model on each, and a part of each batch."""

import keras
import tensorflow as tf

from keras_patchpu.errors import InputError
from keras_patchpu.models import MultiLabelModel


def mirrored_strategy() -> tf.distribute.MirroredStrategy:
    """One over all GPUs, or all logical CPUs where there are none.

    A model that is made or loaded in its scope trains on all of them, once `synchronize` was called
    for it: as on one device with batches of the same size, up to rounding.

    Raises:
        InputError: Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "--strategy mirrored is of TensorFlow, not of "
            f"KERAS_BACKEND={keras.backend.backend()}: leave it out; under jax --num-hosts 1 takes "
            "all GPUs"
        )
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def check_parts(num_examples: int, batch_size: int, num_devices: int) -> None:
    """Raises an `InputError` where a device would get no image of a batch.

    TensorFlow 2.21 then waits for its sums, or mixes them up. It cuts a batch into parts of one
    size, rounded up, of which the last is smaller.

    Args:
        num_examples: of an epoch, the last batch of which may be smaller.
        batch_size: of all devices together.
        num_devices: that a batch is shared by.
    """
    for size in {min(batch_size, num_examples), num_examples % batch_size or batch_size}:
        if -(-size // num_devices) * (num_devices - 1) >= size:
            raise InputError(
                f"a batch of {size} images, as in an epoch of {num_examples} images in batches of "
                f"{batch_size}, leaves one of {num_devices} devices without any: give another "
                "--batch-size"
            )


def synchronize(model: MultiLabelModel) -> None:
    """Has every batch normalization take the statistics over all replicas."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True

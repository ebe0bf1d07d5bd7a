"""Two runs with the same weights, to the last bit."""

import keras
import tensorflow as tf

from keras_patchpu.errors import InputError


def enable_determinism() -> None:
    """Has TensorFlow take, for the rest of the process, no algorithm that depends on chance.

    On a GPU sums are then added in a fixed order, and pictures are read from their files one at a
    time (`tf.config.experimental.enable_op_determinism`); both cost time. Two runs are bit-equal on
    the same machine with the same number of cores: TensorFlow divides sums among its threads.

    Raises:
        InputError: Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"--deterministic is of TensorFlow, not of KERAS_BACKEND={keras.backend.backend()}: "
            "leave it out"
        )
    tf.config.experimental.enable_op_determinism()

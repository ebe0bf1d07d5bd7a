"""Grad-CAM: where a label is, from the gradient of its score (Selvaraju et al., 2017)."""

import keras
import numpy as np
import tensorflow as tf

from keras_patchpu.errors import InputError


class GradCam:
    """Maps of labels, from any model with a layer of features at places.

    1. features A `(B, h, w, C)` of the layer, and logits `(B, L)` from them
    2. importance of a feature for a label `(B, L, C)`: the gradient of its logit, mean over places
    3. maps `(B, L, h, w)`: the positive part of the sum of the features times their importance

    For a network that pools its features and scores them by a dense layer it is the class
    activation map without its bias, divided by the number of places, and cut off at 0.

    Args:
        model: a functional model with `logits` `(B, L)` among its outputs.
        layer: the layer or nested model of it that gives the features; what it gives when it is
            first called in the model is taken.

    Raises:
        InputError: Keras runs on another backend than TensorFlow.
    """

    def __init__(self, model: keras.Model, layer: keras.layers.Layer):
        if keras.backend.backend() != "tensorflow":
            raise InputError(
                f"Grad-CAM takes TensorFlow's gradients, and Keras runs on "
                f"{keras.backend.backend()}: set KERAS_BACKEND=tensorflow"
            )
        # A nested model has an `output` of its own, which is no part of the outer graph.
        features = keras.Operation.output.fget(layer)
        logits = model.output["logits"]
        self._to_features = keras.Model(model.inputs, features)
        self._to_logits = keras.Model(features, logits)
        self._num_labels = logits.shape[-1]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Maps float32 `(B, L, h, w)`, at least 0, of images `(B, S, S, 3)`."""
        return self._maps(tf.convert_to_tensor(images)).numpy()

    @tf.function(reduce_retracing=True)
    def _maps(self, images):
        features = self._to_features(images, training=False)

        def importance(label):
            with tf.GradientTape() as tape:
                tape.watch(features)
                # Images do not see each other: the gradient of the sum is that of each.
                score = tf.reduce_sum(self._to_logits(features, training=False)[:, label])
            gradient = tape.gradient(score, features)
            return tf.reduce_mean(tf.cast(gradient, tf.float32), axis=(1, 2))

        # One label at a time: the gradients of all of them would be L times the features.
        labels = tf.range(self._num_labels)
        weights = tf.map_fn(importance, labels, fn_output_signature=tf.float32)
        return tf.nn.relu(tf.einsum("bhwc,lbc->blhw", tf.cast(features, tf.float32), weights))

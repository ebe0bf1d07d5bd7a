"""One layer for every patch of an image."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_patchpu")
class TimeDistributed(keras.layers.TimeDistributed):
    """`keras.layers.TimeDistributed` that folds time into the batch, as that of Keras 2 did.

    `(B, M, ...)` -> `(B * M, ...)` -> layer -> `(B * M, ...)` -> `(B, M, ...)`

    The wrapped layer is called once, so the graph does not grow with M, and a BatchNormalization
    inside it takes its statistics over all patches of the batch. That of Keras 3 unrolls the
    M steps (125,000 graph nodes for 130 patches) and normalizes each patch position on its own.

    Args:
        layer: a `keras.layers.Layer`.

    Call arguments:
        inputs: `(B, M, ...)`; B and M may be unknown.
        training: handed to the layer if it takes it.
        mask: `(B, M)`, folded to `(B * M,)` and handed to the layer if it takes it.

    Returns:
        `(B, M, ...)`.
    """

    def call(self, inputs, training=None, mask=None):
        kwargs = {}
        if self.layer._call_has_training_arg:
            kwargs["training"] = training
        if self.layer._call_has_mask_arg and mask is not None:
            kwargs["mask"] = ops.reshape(mask, (-1,))

        batch, steps = ops.shape(inputs)[:2]
        outputs = self.layer(ops.reshape(inputs, (-1, *inputs.shape[2:])), **kwargs)
        # Only one dimension can be -1; the batch is the one more often unknown.
        leading = (-1, steps) if inputs.shape[0] is None else (batch, steps)
        return ops.reshape(outputs, (*leading, *outputs.shape[1:]))

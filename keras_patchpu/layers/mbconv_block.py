"""The building block of EfficientNet."""

import keras
from keras import ops

from keras_patchpu.layers.batch_normalization import BatchNormalization


@keras.saving.register_keras_serializable(package="keras_patchpu")
class MBConvBlock(keras.layers.Layer):
    """Inverted residual with squeeze and excitation (Tan and Le, 2019).

    expand 1x1 -> depthwise k x k -> squeeze and excite -> project 1x1 -> add the input, where
    strides and filters allow. Weights come in the order of `keras.applications.EfficientNetB0`,
    so that those of one of its blocks can be set. Its stochastic depth is left out: it drops
    2.5% and 5% of two branches there, and the paper names none.

    Args:
        filters: output channels.
        kernel_size: of the depthwise convolution.
        strides: of the depthwise convolution.
        expand_ratio: expanded over input channels; 1 for no expansion.
        squeeze_ratio: channels of the squeeze over input channels.

    Call arguments:
        inputs: `(N, h, w, c)`.
        training: whether BatchNormalization uses the statistics of the batch.

    Returns:
        `(N, ceil(h / strides), ceil(w / strides), filters)`.
    """

    def __init__(
        self, filters, kernel_size=3, strides=1, expand_ratio=6, squeeze_ratio=0.25, **kwargs
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.expand_ratio = expand_ratio
        self.squeeze_ratio = squeeze_ratio

    def build(self, input_shape):
        channels = input_shape[-1]
        expanded = channels * self.expand_ratio
        self.adds_input = self.strides == 1 and self.filters == channels

        if self.expand_ratio != 1:
            self.expand_conv = self._conv(expanded, "expand_conv")
            self.expand_norm = self._norm("expand_norm")
        self.depthwise_conv = keras.layers.DepthwiseConv2D(
            self.kernel_size,
            strides=self.strides,
            # The zeros that keras.applications puts around strided convolutions, on any size.
            padding="same",
            use_bias=False,
            depthwise_initializer=keras.initializers.VarianceScaling(1.0),
            dtype=self.dtype_policy,
            name="depthwise_conv",
        )
        self.depthwise_norm = self._norm("depthwise_norm")
        squeezed = max(1, int(channels * self.squeeze_ratio))
        self.squeeze = self._conv(squeezed, "squeeze", activation="swish", use_bias=True)
        self.excite = self._conv(expanded, "excite", activation="sigmoid", use_bias=True)
        self.project_conv = self._conv(self.filters, "project_conv")
        self.project_norm = self._norm("project_norm")

        shape = input_shape
        if self.expand_ratio != 1:
            self.expand_conv.build(shape)
            shape = (*shape[:-1], expanded)
            self.expand_norm.build(shape)
        self.depthwise_conv.build(shape)
        self.depthwise_norm.build(shape)
        pooled_shape = (shape[0], 1, 1, expanded)
        self.squeeze.build(pooled_shape)
        self.excite.build((shape[0], 1, 1, squeezed))
        self.project_conv.build(shape)
        self.project_norm.build((*shape[:-1], self.filters))

    def call(self, inputs, training=False):
        x = inputs
        if self.expand_ratio != 1:
            x = ops.swish(self.expand_norm(self.expand_conv(x), training=training))
        x = ops.swish(self.depthwise_norm(self.depthwise_conv(x), training=training))
        x = x * self.excite(self.squeeze(ops.mean(x, axis=(1, 2), keepdims=True)))
        x = self.project_norm(self.project_conv(x), training=training)
        return x + inputs if self.adds_input else x

    def _conv(self, filters, name, activation=None, use_bias=False):
        return keras.layers.Conv2D(
            filters,
            1,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=keras.initializers.VarianceScaling(1.0),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        return BatchNormalization(dtype=self.dtype_policy, name=name)

    def compute_output_shape(self, input_shape):
        height, width = (
            None if size is None else -(-size // self.strides) for size in input_shape[1:3]
        )
        return (input_shape[0], height, width, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expand_ratio": self.expand_ratio,
            "squeeze_ratio": self.squeeze_ratio,
        }

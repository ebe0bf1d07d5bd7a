"""The patch embedder for inference, with batch normalization folded into the convolutions."""

import keras
import tensorflow as tf

from keras_patchpu.layers import MBConvBlock, PatchEmbedder


class FoldedEmbedder:
    """What `PatchEmbedder` computes at inference, up to rounding, of constants only.

    With its moving statistics, `norm(x) = scale * x + offset` for each channel, and so
    `norm(conv(x, kernel)) = conv(x, scale * kernel) + offset`: one pass over the memory for three.
    The division of the pixels by 255 goes into the first kernel. Computed in float64, kept in
    float32, whatever the embedder's dtype policy.

    Args:
        embedder: built, with the weights that it is to have.

    Call arguments:
        patches: `(N, P, P, 3)`, values in 0..255.

    Returns:
        Patch embeddings `(N, F)`, float32.
    """

    def __init__(self, embedder: PatchEmbedder):
        kernel, offset = _fold(embedder.stem_conv, embedder.stem_norm)
        self.stem = (kernel * embedder.rescaling.scale, offset)
        self.blocks = [_FoldedBlock(block) for block in embedder.blocks]
        self.dense = _constants(embedder.dense)

    def __call__(self, patches: tf.Tensor) -> tf.Tensor:
        kernel, offset = self.stem
        x = _swish(tf.nn.bias_add(tf.nn.conv2d(patches, kernel, 2, "SAME"), offset))
        for block in self.blocks:
            x = block(x)
        kernel, offset = self.dense
        return tf.nn.bias_add(tf.matmul(tf.reduce_mean(x, (1, 2)), kernel), offset)


class _FoldedBlock:
    """What an `MBConvBlock` computes at inference."""

    def __init__(self, block: MBConvBlock):
        self.strides = [1, block.strides, block.strides, 1]
        self.adds_input = block.adds_input
        self.expand = None
        if block.expand_ratio != 1:
            self.expand = _fold(block.expand_conv, block.expand_norm)
        self.depthwise = _fold(block.depthwise_conv, block.depthwise_norm)
        self.squeeze = _constants(block.squeeze)
        self.excite = _constants(block.excite)
        self.project = _fold(block.project_conv, block.project_norm)

    def __call__(self, inputs):
        x = inputs
        if self.expand is not None:
            x = _swish(_conv(x, self.expand))
        kernel, offset = self.depthwise
        x = tf.nn.depthwise_conv2d(x, kernel, self.strides, "SAME")
        x = _swish(tf.nn.bias_add(x, offset))
        squeezed = _swish(_conv(tf.reduce_mean(x, (1, 2), keepdims=True), self.squeeze))
        x = x * tf.sigmoid(_conv(squeezed, self.excite))
        x = _conv(x, self.project)
        return x + inputs if self.adds_input else x


def _conv(x, kernel_and_offset):
    kernel, offset = kernel_and_offset
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), offset)


def _swish(x):
    # Faster than `tf.nn.silu`: TensorFlow's optimizer makes one operation of this form on a CPU.
    return x * tf.sigmoid(x)


def _constants(layer):
    """Kernel and bias of a layer."""
    return tuple(tf.constant(_float64(v), tf.float32) for v in (layer.kernel, layer.bias))


def _fold(conv, norm):
    """Kernel and bias that do what a convolution and the normalization after it do."""
    scale = _float64(norm.gamma) / (_float64(norm.moving_variance) + norm.epsilon) ** 0.5
    offset = _float64(norm.beta) - scale * _float64(norm.moving_mean)
    # A depthwise kernel is (k, k, channels, 1), any other (k, k, inputs, channels).
    depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)
    kernel = _float64(conv.kernel) * (scale[:, None] if depthwise else scale)
    return tf.constant(kernel, tf.float32), tf.constant(offset, tf.float32)


def _float64(variable):
    return keras.ops.convert_to_numpy(variable).astype("float64")

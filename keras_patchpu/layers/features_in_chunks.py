"""The features of the patch embedder while it trains, in a third of the memory."""

import math

import keras
from keras import ops

from keras_patchpu.layers.batch_normalization import batch_moments
from keras_patchpu.layers.in_chunks import in_chunks
from keras_patchpu.replicas import moments_over_replicas

# Numbers in the largest tensor of a chunk: few enough for the caches of a processor, and so many
# that an operation is worth its start.
CHUNK = 2**21


def features_in_chunks(embedder, patches):
    """What `embedder.features(patches, training=True)` is, with less of it kept for the gradient.

    A batch normalization takes its statistics over all patches of the batch, but from one to the
    next each patch is on its own. So what lies between is computed in chunks of patches, and once
    more for the gradient. The result and the moving statistics, which move once, are the same up
    to rounding. Kept of a block are its input and what its last two normalizations get. What it
    expands to, six times its input, is never there as a whole: mean and variance of the outputs of
    a 1x1 convolution follow from mean and covariance of its inputs.

    Args:
        embedder: a built `PatchEmbedder`, all of which is trained.
        patches: `(N, P, P, 3)`, values in 0..255.

    Returns:
        `(N, P / 8, P / 8, 40)`.
    """
    x = _conv(embedder.rescaling(patches), embedder.stem_conv.kernel, strides=2)
    first, *others = embedder.blocks
    # The first does not expand, nor add its input, which so need not be kept.
    x = _normalized(embedder.stem_norm, _depthwise(first), x, first.depthwise_conv.kernel)
    x = _project(first, x)
    for block in others:
        outputs = _project(block, _expand(block, x))
        x = x + outputs if block.adds_input else outputs
    return x


def _expand(block, x):
    """From the input of a block to what its depthwise convolution gives."""
    kernel = ops.cast(block.expand_conv.kernel, "float32")
    moments = keras.remat(_moments_after_conv)(x, kernel)
    scale, offset = _scale_and_offset(block.expand_norm, x, *moments)
    convolve = _depthwise(block)

    def expand(x, kernel, offset, depthwise_kernel):
        return convolve(_conv(x, kernel) + ops.cast(offset, x.dtype), depthwise_kernel)

    size = _chunk_size((*x.shape[1:3], kernel.shape[-1]))
    return in_chunks(expand, size, x, kernel * scale, offset, block.depthwise_conv.kernel)


def _project(block, x):
    """From what the depthwise convolution of a block gives to what is added to its input."""

    def project(x, squeeze, squeeze_bias, excite, excite_bias, kernel):
        x = _swish(x)
        squeezed = _conv(ops.mean(x, axis=(1, 2), keepdims=True), squeeze)
        squeezed = _swish(squeezed + ops.cast(squeeze_bias, x.dtype))
        excited = _conv(squeezed, excite) + ops.cast(excite_bias, x.dtype)
        return _conv(x * ops.sigmoid(excited), kernel)

    weights = (*block.squeeze.variables, *block.excite.variables, block.project_conv.kernel)
    x = _normalized(block.depthwise_norm, project, x, *weights)
    return block.project_norm(x, training=True)


def _normalized(norm, function, x, *weights):
    """`function(norm(x), *weights)`."""
    scale, offset = _scale_and_offset(norm, x, *batch_moments(x))

    def normalize(x, scale, offset, *weights):
        return function(x * ops.cast(scale, x.dtype) + ops.cast(offset, x.dtype), *weights)

    return in_chunks(normalize, _chunk_size(x.shape[1:]), x, scale, offset, *weights)


def _scale_and_offset(norm, x, mean, variance):
    """With which a normalization by these statistics is `scale * x + offset`; moves its own.

    They are of as many numbers as `x` has in a channel.
    """
    count = ops.cast(ops.size(x), "float32") / x.shape[-1]
    if norm.synchronized:
        mean, variance = moments_over_replicas(mean, variance, count)
    norm.move(mean, variance)
    scale = ops.cast(norm.gamma, "float32") * ops.rsqrt(variance + norm.epsilon)
    return scale, ops.cast(norm.beta, "float32") - mean * scale


def _moments_after_conv(x, kernel):
    """Mean and variance, `(filters,)`, of what a 1x1 convolution makes of `x`."""
    x, kernel = ops.reshape(ops.cast(x, "float32"), (-1, x.shape[-1])), kernel[0, 0]
    mean = ops.mean(x, axis=0)
    centred = x - mean
    covariance = ops.matmul(ops.transpose(centred), centred) / ops.cast(ops.shape(x)[0], "float32")
    return ops.matmul(mean, kernel), ops.sum(kernel * ops.matmul(covariance, kernel), axis=0)


def _depthwise(block):
    """The activation before the depthwise convolution of a block, and that."""

    def convolve(x, kernel):
        kernel = ops.cast(kernel, x.dtype)
        return ops.depthwise_conv(_swish(x), kernel, block.strides, "same", "channels_last")

    return convolve


def _swish(x):
    # Two operations fewer in each chunk's gradient than `ops.swish`, which keeps less for it.
    return x * ops.sigmoid(x)


def _conv(x, kernel, strides=1):
    return ops.conv(x, ops.cast(kernel, x.dtype), strides, "same", "channels_last")


def _chunk_size(patch_shape):
    return max(1, CHUNK // math.prod(patch_shape))

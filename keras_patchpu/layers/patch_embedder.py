"""Block 2 of the paper's figure 1: a small CNN turns each patch into an embedding."""

import keras
from keras import ops

from keras_patchpu.layers.batch_normalization import BatchNormalization
from keras_patchpu.layers.features_in_chunks import features_in_chunks
from keras_patchpu.layers.mbconv_block import MBConvBlock

# filters, kernel size, strides, expand ratio of EfficientNet-B0's blocks 1a, 2a, 2b, 3a, 3b.
FIRST_FIVE_BLOCKS = {
    "block1a": (16, 3, 1, 1),
    "block2a": (24, 3, 2, 6),
    "block2b": (24, 3, 1, 6),
    "block3a": (40, 5, 2, 6),
    "block3b": (40, 5, 1, 6),
}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class PatchEmbedder(keras.layers.Layer):
    """The first five EfficientNet-B0 blocks, average pooling and a dense layer (section 4.1.2).

    1. scale pixels from 0..255 to 0..1: `(N, P, P, 3)`
    2. stem, 3x3 convolution of stride 2: `(N, P / 2, P / 2, 32)`
    3. blocks 1a to 3b: `(N, P / 8, P / 8, 40)`, equal to `keras.applications.EfficientNetB0` cut
       at `block3b_add`; 65,730 trainable parameters
    4. mean over the patch: `(N, 40)`
    5. dense: `(N, F)`

    Args:
        embedding_dim: F, the size of an embedding.
        rematerialise: while training, keep a quarter of what the gradient needs and compute the
            rest twice: the same up to rounding, see `features_in_chunks`. Without effect where
            weights are frozen. Under TensorFlow it cannot be compiled by XLA.

    Call arguments:
        patches: `(N, P, P, 3)` with values in 0..255.
        training: whether BatchNormalization uses the statistics of the batch.

    Returns:
        Patch embeddings `(N, F)`.
    """

    def __init__(self, embedding_dim=256, rematerialise=False, **kwargs):
        super().__init__(**kwargs)
        self.embedding_dim = embedding_dim
        self.rematerialise = rematerialise
        if rematerialise and keras.backend.backend() == "tensorflow":
            self.supports_jit = False  # the number of chunks is not known when it compiles
        initializer = keras.initializers.VarianceScaling(1.0)
        policy = self.dtype_policy
        self.rescaling = keras.layers.Rescaling(1 / 255, dtype=policy, name="rescaling")
        self.stem_conv = keras.layers.Conv2D(
            32,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer,
            dtype=policy,
            name="stem_conv",
        )
        self.stem_norm = BatchNormalization(dtype=policy, name="stem_norm")
        self.blocks = [
            MBConvBlock(*arguments, dtype=policy, name=name)
            for name, arguments in FIRST_FIVE_BLOCKS.items()
        ]
        self.dense = keras.layers.Dense(
            embedding_dim, kernel_initializer=initializer, dtype=policy, name="dense"
        )

    def build(self, patches_shape):
        self.stem_conv.build(patches_shape)
        shape = (None, *(-(-size // 2) for size in patches_shape[1:3]), 32)
        self.stem_norm.build(shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.dense.build((None, shape[-1]))

    def features(self, patches, training=False):
        """Steps 1 to 3: `(N, P, P, 3)` -> `(N, P / 8, P / 8, 40)`."""
        # A frozen normalization takes its moving statistics.
        if training and self.rematerialise and all(x.trainable for x in self._flatten_layers()):
            return features_in_chunks(self, patches)
        x = self.rescaling(patches)
        x = ops.swish(self.stem_norm(self.stem_conv(x), training=training))
        for block in self.blocks:
            x = block(x, training=training)
        return x

    def call(self, patches, training=False):
        features = self.features(patches, training=training)
        return self.dense(ops.mean(features, axis=(1, 2)))

    def compute_output_shape(self, patches_shape):
        return (patches_shape[0], self.embedding_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "embedding_dim": self.embedding_dim,
            "rematerialise": self.rematerialise,
        }

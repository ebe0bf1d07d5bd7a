"""Blocks 3 and 4 of the paper's figure 1: a codebook vector a label, and attention over patches."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_patchpu")
class CodebookAttention(keras.layers.Layer):
    """Pools the patch embeddings once for each label (paper, sections 3.1.3 and 3.1.4).

    1. scores: codebook . patch_embeddings, `(B, L, M)`; no scaling, no projections
    2. attention: softmax of the scores over the patches, in float32 (eq. 1)
    3. pooled: attention @ patch_embeddings, `(B, L, F)`
    4. image_embeddings: mlp(pooled) + pooled, `(B, L, F)` (eq. 2), the mlp being two dense layers
       of F units with a GELU between them

    Args:
        num_labels: L, the number of labels.

    Call arguments:
        patch_embeddings: `(B, M, F)`.

    Returns:
        A tuple `(image_embeddings, attention)` of shapes `(B, L, F)` and `(B, L, M)`. The rows of
        `attention` sum to 1.
    """

    def __init__(self, num_labels, **kwargs):
        super().__init__(**kwargs)
        self.num_labels = num_labels

    def build(self, patch_embeddings_shape):
        embedding_dim = patch_embeddings_shape[-1]
        self.codebook = self.add_weight(
            shape=(self.num_labels, embedding_dim),
            initializer=keras.initializers.VarianceScaling(1.0),
            name="codebook",
        )
        self.mlp_hidden = self._dense(embedding_dim, "gelu", "mlp_hidden")
        self.mlp_output = self._dense(embedding_dim, None, "mlp_output")
        pooled_shape = (None, self.num_labels, embedding_dim)
        self.mlp_hidden.build(pooled_shape)
        self.mlp_output.build(pooled_shape)

    def call(self, patch_embeddings):
        scores = ops.einsum("lf,bmf->blm", self.codebook, patch_embeddings)
        attention = ops.softmax(ops.cast(scores, "float32"), axis=-1)
        weights = ops.cast(attention, patch_embeddings.dtype)
        pooled = ops.einsum("blm,bmf->blf", weights, patch_embeddings)
        image_embeddings = self.mlp_output(self.mlp_hidden(pooled)) + pooled
        return image_embeddings, attention

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=keras.initializers.VarianceScaling(1.0),
            dtype=self.dtype_policy,
            name=name,
        )

    def compute_output_shape(self, patch_embeddings_shape):
        batch, num_patches, embedding_dim = patch_embeddings_shape
        return (batch, self.num_labels, embedding_dim), (batch, self.num_labels, num_patches)

    def compute_output_spec(self, patch_embeddings):
        embeddings_shape, attention_shape = self.compute_output_shape(patch_embeddings.shape)
        return (
            keras.KerasTensor(embeddings_shape, dtype=self.compute_dtype),
            keras.KerasTensor(attention_shape, dtype="float32"),
        )

    def get_config(self):
        return {**super().get_config(), "num_labels": self.num_labels}

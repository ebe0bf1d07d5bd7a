"""The patch classifier with parts of it cut short, taken out or replaced.

With the arguments' defaults it is `PatchClassifier`, weight for weight. The package has no options
for what only an ablation wants, so the graph is built here, of the package's layers and of small
subclasses of them. They load from a `.keras` file wherever this module has been imported.
"""

import keras
from keras import ops

from keras_patchpu.layers import (
    CodebookAttention,
    LabelClassifier,
    PatchEmbedder,
    PatchPyramid,
    TimeDistributed,
)
from keras_patchpu.models import MultiLabelModel, PatchClassifier

PACKAGE = "keras_patchpu_ablations"


@keras.saving.register_keras_serializable(package=PACKAGE)
class FirstBlocksEmbedder(PatchEmbedder):
    """The first `num_blocks` of the five blocks; then, as ever, the mean and a dense layer."""

    def __init__(self, embedding_dim=256, num_blocks=5, **kwargs):
        super().__init__(embedding_dim, **kwargs)
        self.num_blocks = num_blocks
        # Made and then dropped: the layers after them start with the same weights for a seed.
        while len(self.blocks) > num_blocks:
            self.blocks.pop()

    def get_config(self):
        return {**super().get_config(), "num_blocks": self.num_blocks}


@keras.saving.register_keras_serializable(package=PACKAGE)
class CodebookAttentionWithoutMLP(CodebookAttention):
    """The pooled patch embeddings are the image embeddings: eq. 1 without eq. 2."""

    def build(self, patch_embeddings_shape):
        self.codebook = self.add_weight(
            shape=(self.num_labels, patch_embeddings_shape[-1]),
            initializer=keras.initializers.VarianceScaling(1.0),
            name="codebook",
        )

    def call(self, patch_embeddings):
        scores = ops.einsum("lf,bmf->blm", self.codebook, patch_embeddings)
        attention = ops.softmax(ops.cast(scores, "float32"), axis=-1)
        weights = ops.cast(attention, patch_embeddings.dtype)
        return ops.einsum("blm,bmf->blf", weights, patch_embeddings), attention


@keras.saving.register_keras_serializable(package=PACKAGE)
class SigmoidClassifier(keras.layers.Layer):
    """`logit_l = W_l . e_l + b_l`: each label for itself, in place of eq. 3's softmax over labels.

    `(B, L, F)` -> `(B, L)`. The bias is what the softmax needs none for: how rare a label is.
    """

    def build(self, image_embeddings_shape):
        num_labels, embedding_dim = image_embeddings_shape[1:]
        self.label_weights = self.add_weight(
            shape=(num_labels, embedding_dim),
            initializer=keras.initializers.VarianceScaling(1.0, mode="fan_out"),
            name="label_weights",
        )
        self.bias = self.add_weight(shape=(num_labels,), initializer="zeros", name="bias")

    def call(self, image_embeddings):
        return ops.einsum("blf,lf->bl", image_embeddings, self.label_weights) + self.bias


@keras.saving.register_keras_serializable(package=PACKAGE)
class AblatedClassifier(MultiLabelModel):
    """See `PatchClassifier` for what it takes and returns.

    Args:
        num_labels, image_size, patch_size, num_levels, embedding_dim: as of `PatchClassifier`.
        num_blocks: of the embedder, 1 to 5.
        mlp: whether there is eq. 2.
        classifier: `"softmax"` (eq. 3) or `"sigmoids"`.
    """

    def __init__(
        self,
        num_labels,
        image_size,
        patch_size,
        num_levels,
        embedding_dim=256,
        num_blocks=5,
        mlp=True,
        classifier="softmax",
        **kwargs,
    ):
        # === Layers ===
        pyramid = PatchPyramid(patch_size, num_levels, name="patch_pyramid")
        embedder = FirstBlocksEmbedder(embedding_dim, num_blocks, name="patch_embedder")
        attention_class = CodebookAttention if mlp else CodebookAttentionWithoutMLP
        attend = attention_class(num_labels, name="codebook_attention")
        if classifier == "softmax":
            classify = LabelClassifier(num_labels, name="label_classifier")
        else:
            classify = SigmoidClassifier(name="label_classifier")

        # === Functional model ===
        images = keras.Input((image_size, image_size, 3), name="images")
        patch_embeddings = TimeDistributed(embedder, name="embed_patches")(pyramid(images))
        image_embeddings, attention = attend(patch_embeddings)
        outputs = {
            "logits": classify(image_embeddings),
            "image_embeddings": image_embeddings,
            "attention": attention,
        }
        super().__init__(inputs=images, outputs=outputs, **kwargs)

        # === Config ===
        self.num_labels = num_labels
        self.image_size = image_size
        self.patch_size = patch_size
        self.num_levels = num_levels
        self.embedding_dim = embedding_dim
        self.num_blocks = num_blocks
        self.mlp = mlp
        self.classifier = classifier
        self.patch_pyramid = pyramid

    attention_grids = PatchClassifier.attention_grids
    attention_boxes = PatchClassifier.attention_boxes

    def get_config(self):
        return {
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "num_levels": self.num_levels,
            "embedding_dim": self.embedding_dim,
            "num_blocks": self.num_blocks,
            "mlp": self.mlp,
            "classifier": self.classifier,
            "name": self.name,
        }

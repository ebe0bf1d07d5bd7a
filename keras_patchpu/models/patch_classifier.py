"""The paper's model: patches, embedder, codebook attention and classifier in one graph."""

import keras

from keras_patchpu.layers import (
    CodebookAttention,
    LabelClassifier,
    PatchEmbedder,
    PatchPyramid,
    TimeDistributed,
)
from keras_patchpu.models.multi_label_model import MultiLabelModel


@keras.saving.register_keras_serializable(package="keras_patchpu")
class PatchClassifier(MultiLabelModel):
    """Multi-label classifier that pools patches by attention, once for each label.

    1. patches `(B, M, P, P, 3)` of the image at `num_levels` resolutions (section 3.1.1)
    2. patch_embeddings `(B, M, F)` by one small CNN (3.1.2)
    3. image_embeddings `(B, L, F)` and attention `(B, L, M)` by the label codebook (3.1.3, 3.1.4)
    4. logits `(B, L)` by one classifier (3.1.5)

    With the defaults M is 130 and there are 218,050 trainable parameters for 20 labels, 248,770
    for 80 (the paper: around 130 patches, approximately 250K parameters). The order of the
    patches changes no output beyond rounding.

    Example:

    >>> model = PatchClassifier(num_labels=20)
    >>> model.compile("adam", loss=keras_patchpu.losses.get("wn"))
    >>> model.fit(images, observed)              # (B, 640, 640, 3) in 0..255 and (B, 20)
    >>> model.predict(images)["logits"]          # sigmoid of them: the paper's y_hat

    Args:
        num_labels: L, at least 2.
        image_size: height and width S of the square images in pixels.
        patch_size: height and width P of a patch in pixels.
        num_levels: number of resolutions, the image itself included.
        embedding_dim: F, the size of patch, codebook and image embeddings.
        patches_per_level: see `PatchPyramid`.
        seed: of the draw of patches, where there is one.
        rematerialise: see `PatchEmbedder`.

    Call arguments:
        images: `(B, S, S, 3)`, values in 0..255, integers or floats.

    Returns:
        A dict of `logits` `(B, L)`, `image_embeddings` `(B, L, F)` and `attention` `(B, L, M)`.
    """

    def __init__(
        self,
        num_labels,
        image_size=640,
        patch_size=64,
        num_levels=4,
        embedding_dim=256,
        patches_per_level=None,
        seed=0,
        rematerialise=False,
        dtype=None,
        **kwargs,
    ):
        # === Layers ===
        pyramid = PatchPyramid(
            patch_size, num_levels, patches_per_level, seed=seed, dtype=dtype, name="patch_pyramid"
        )
        embedder = PatchEmbedder(embedding_dim, rematerialise, dtype=dtype, name="patch_embedder")
        embed_patches = TimeDistributed(embedder, dtype=dtype, name="embed_patches")
        attend = CodebookAttention(num_labels, dtype=dtype, name="codebook_attention")
        # Float32 whatever the policy: the logit is a difference of large numbers.
        classify = LabelClassifier(num_labels, dtype="float32", name="label_classifier")

        # === Functional model ===
        images = keras.Input((image_size, image_size, 3), name="images")
        patch_embeddings = embed_patches(pyramid(images))
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
        self.patches_per_level = pyramid.patches_per_level
        self.seed = seed
        self.rematerialise = rematerialise
        self.patch_pyramid = pyramid
        self.patch_embedder = embedder
        self.codebook_attention = attend
        self.label_classifier = classify

    @property
    def attention_grids(self):
        return self.patch_pyramid.grids(self.image_size, self.image_size)

    @property
    def attention_boxes(self):
        return self.patch_pyramid.boxes(self.image_size, self.image_size)

    def get_config(self):
        # Not super().get_config(): that of a functional model describes the whole graph.
        return {
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "num_levels": self.num_levels,
            "embedding_dim": self.embedding_dim,
            "patches_per_level": self.patches_per_level,
            "seed": self.seed,
            "rematerialise": self.rematerialise,
            "dtype": keras.dtype_policies.serialize(self.patch_embedder.dtype_policy),
            "name": self.name,
            "trainable": self.trainable,
        }

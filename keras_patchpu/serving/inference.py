"""The patch classifier as a server runs it: the same answers from a faster graph."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_patchpu.models import PatchClassifier
from keras_patchpu.serving.folded_embedder import FoldedEmbedder

# Pixels of the patches embedded together: 65 patches of 64 x 64. What lies between the layers then
# takes no more memory for a larger batch, and the speed is the same.
CHUNK_PIXELS = 65 * 64 * 64


def inference_function(
    model: keras.Model,
) -> tuple[Callable[[tf.Tensor], dict[str, tf.Tensor]], list[keras.layers.Layer]]:
    """A function of images `(B, S, S, 3)` that gives the model's logits and attention.

    For a `PatchClassifier`: equal to `model(images, training=False)` up to rounding, in a graph
    where the batch normalizations are folded into the convolutions, and a few patches at a time
    are embedded. Any other model is called as it is.

    Args:
        model: with a dict output of `logits` `(B, L)` and `attention` `(B, L, M)`.

    Returns:
        The function, and the layers whose variables it reads; the other weights are constants in
        it, as they are now.
    """
    if not isinstance(model, PatchClassifier):
        return lambda images: model(images, training=False), [model]
    embed = FoldedEmbedder(model.patch_embedder)
    chunk = max(1, CHUNK_PIXELS // model.patch_size**2)

    def infer(images):
        patches = tf.cast(model.patch_pyramid(images, training=False), tf.float32)
        num_images, num_patches = tf.unstack(tf.shape(patches)[:2])
        patches = tf.reshape(patches, (-1, *patches.shape[2:]))
        embeddings = _in_chunks(embed, patches, chunk, model.embedding_dim)
        embeddings = tf.reshape(embeddings, (num_images, num_patches, model.embedding_dim))
        image_embeddings, attention = model.codebook_attention(embeddings)
        return {"logits": model.label_classifier(image_embeddings), "attention": attention}

    return infer, [model.codebook_attention, model.label_classifier]


def _in_chunks(function, rows, chunk, width):
    """`function(rows)`, `(N, width)`, computed from `chunk` rows at a time."""
    num_chunks = (tf.shape(rows)[0] + chunk - 1) // chunk
    parts = tf.TensorArray(tf.float32, num_chunks, element_shape=(None, width), infer_shape=False)

    def step(index, parts):
        part = function(rows[index * chunk : (index + 1) * chunk])
        return index + 1, parts.write(index, part)

    # Two at once: one core is not idle while the other ends an operation.
    _, parts = tf.while_loop(
        lambda index, _: index < num_chunks, step, (0, parts), parallel_iterations=2
    )
    return parts.concat()

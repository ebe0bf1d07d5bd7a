"""The paper's loss: negatives estimated from the image's own embeddings (sections 3.2.3, 3.3)."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def weak_negatives(observed, image_embeddings, theta=0.0):
    """How surely each unobserved label is absent: the weights `z~-` (eqs. 7 and 8).

    If the embedding of a label rests on the same patches as that of an observed label, which
    owns those patches, then the label is not in the image.

    1. similarity: `cos(e_l, e_k)`, `(B, L, L)`
    2. beta: `phi(similarity)`, `phi(x) = x if x > theta else 0` (eq. 7)
    3. maximum of beta over the observed labels k, `(B, L)` (eq. 8); 0 for the observed labels
       and for images without any
    4. 1 for the negatives that are known, which the paper has none of

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        image_embeddings: `(B, L, F)`.
        theta: threshold in [-1, 1]; from 0 up the weights are in [0, 1].

    Returns:
        `(B, L)`.
    """
    squared_norms = ops.sum(ops.square(image_embeddings), axis=-1, keepdims=True)
    directions = image_embeddings * ops.rsqrt(ops.maximum(squared_norms, 1e-24))
    similarity = ops.einsum("blf,bkf->blk", directions, directions)
    beta = ops.where(similarity > theta, similarity, 0.0)  # eq. 7

    is_observed = observed > 0
    beta_to_observed = ops.where(is_observed[:, None, :], beta, -float("inf"))
    negatives = ops.max(beta_to_observed, axis=-1)  # eq. 8
    is_unknown = ops.logical_and(
        ops.logical_not(is_observed), ops.any(is_observed, axis=-1, keepdims=True)
    )
    negatives = ops.where(is_unknown, negatives, 0.0)
    return ops.where(observed < 0, 1.0, negatives)


def weak_negative(observed, logits, image_embeddings, theta=0.0, stop_gradient=True):
    """`-sum_l [z_l log y_hat_l + z~-_l log(1 - y_hat_l)]`, L_WN of one image (eqs. 6 and 9).

    The mean over the batch is left to the caller; the paper sums (eq. 9), which is the same to
    the scale-free LAMB.

    Args:
        observed: `(B, L)`: 1 observed positive, of which there are one or more an image, 0
            unobserved, -1 known negative.
        logits: `(B, L)` with `y_hat = sigmoid(logits)`.
        image_embeddings: `(B, L, F)`.
        theta: see `weak_negatives`.
        stop_gradient: whether the weights `z~-` are constants. The paper does not say. With the
            gradient flowing, the loss falls fastest by turning the embeddings orthogonal, which
            takes the negatives away.

    Returns:
        `(B,)`.
    """
    negatives = weak_negatives(observed, image_embeddings, theta)
    if stop_gradient:
        negatives = ops.stop_gradient(negatives)
    positives = ops.maximum(observed, 0)
    log_likelihood = positives * ops.log_sigmoid(logits) + negatives * ops.log_sigmoid(-logits)
    return -ops.sum(log_likelihood, axis=-1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class WeakNegative(MultiLabelLoss):
    """`wn`: the paper's loss. See `weak_negative` for the arguments."""

    def __init__(self, theta=0.0, stop_gradient=True, name="wn", **kwargs):
        super().__init__(name=name, **kwargs)
        if not -1 <= theta <= 1:
            raise ValueError(
                "Invalid value for argument `theta`. Expected a cosine similarity in [-1, 1]. "
                f"Received: theta={theta}"
            )
        self.theta = theta
        self.stop_gradient = stop_gradient

    def call(self, y_true, y_pred):
        return weak_negative(
            self.targets(y_true),
            y_pred["logits"],
            y_pred["image_embeddings"],
            theta=self.theta,
            stop_gradient=self.stop_gradient,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "theta": self.theta,
            "stop_gradient": self.stop_gradient,
        }

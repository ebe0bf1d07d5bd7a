"""Block 5 of the paper's figure 1: one classifier for all labels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LabelClassifier(keras.layers.Layer):
    """Scores label l by the softmax over all labels of label l's own embedding (eq. 3).

    The paper's score is `y_hat_l = exp(W_l . e_l) / sum_k exp(W_k . e_l)`. The layer returns its
    logit, computed without rounding y_hat first:

    1. scores: `s_lk = W_k . e_l`, `(B, L, L)`
    2. `logit_l = s_ll - logsumexp_{k != l}(s_lk)`, `(B, L)`

    so that `sigmoid(logit_l) = y_hat_l`, `log y_hat_l = log_sigmoid(logit_l)` and
    `log(1 - y_hat_l) = log_sigmoid(-logit_l)` stay finite for scores of any size. They are float32
    whatever the dtype policy, by which the scores are computed: `"float32"` in the patch model.

    Args:
        num_labels: L, at least 2.

    Call arguments:
        image_embeddings: `(B, L, F)`.

    Returns:
        Logits `(B, L)`.

    Raises:
        ValueError: if `num_labels` is 1: a softmax over one label is 1 whatever the image.
    """

    def __init__(self, num_labels, **kwargs):
        super().__init__(**kwargs)
        if num_labels < 2:
            raise ValueError(
                "Invalid value for argument `num_labels`. Expected at least 2, since the score of "
                "a label is a softmax over all labels (eq. 3), which is always 1 for a single one. "
                f"Received: num_labels={num_labels}"
            )
        self.num_labels = num_labels

    def build(self, image_embeddings_shape):
        self.label_weights = self.add_weight(
            shape=(self.num_labels, image_embeddings_shape[-1]),
            # The fan of W_k . e_l is F, which is the second axis here.
            initializer=keras.initializers.VarianceScaling(1.0, mode="fan_out"),
            name="label_weights",
        )

    def call(self, image_embeddings):
        scores = ops.einsum("blf,kf->blk", image_embeddings, self.label_weights)
        scores = ops.cast(scores, "float32")
        own = ops.diagonal(scores, axis1=1, axis2=2)
        others = ops.where(ops.eye(self.num_labels, dtype="bool"), -float("inf"), scores)
        return own - ops.logsumexp(others, axis=-1)

    def compute_output_shape(self, image_embeddings_shape):
        return image_embeddings_shape[:2]

    def compute_output_spec(self, image_embeddings):
        return keras.KerasTensor(image_embeddings.shape[:2], dtype="float32")

    def get_config(self):
        return {**super().get_config(), "num_labels": self.num_labels}

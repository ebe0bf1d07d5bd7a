"""Losses that know, or assume, the negatives."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def binary_crossentropy(labels, logits):
    """`-sum_l [y_l log p_l + (1 - y_l) log(1 - p_l)]` with `p = sigmoid(logits)` (eq. 5).

    Labels of -1, unknown, count neither way.

    Args:
        labels: `(B, L)` truth: 1, 0 or -1.
        logits: `(B, L)`.

    Returns:
        `(B,)`.
    """
    positive = ops.cast(labels > 0, logits.dtype)
    negative = ops.cast(ops.equal(labels, 0), logits.dtype)
    log_p, log_not_p = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    return -ops.sum(positive * log_p + negative * log_not_p, axis=-1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class BinaryCrossentropy(MultiLabelLoss):
    """`bce`: full supervision, the paper's upper bound (eq. 5). See `binary_crossentropy`."""

    supervised = True

    def __init__(self, name="bce", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return binary_crossentropy(self.targets(y_true), y_pred["logits"])


@keras.saving.register_keras_serializable(package="keras_patchpu")
class AssumeNegative(MultiLabelLoss):
    """`an`: binary crossentropy with every unobserved label taken as negative.

    `sum_l [z_l nl(p_l) + (1 - z_l) nl(1 - p_l)]`, `nl(x) = -log x`: L_AN of Cole et al. (2021),
    summed over labels as in section 3.2.3 of the paper with lambda 1, where their code takes the
    mean.
    """

    def __init__(self, name="an", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        # Known negatives, -1, are what the others are taken for; in a truth -1 is unknown.
        observed = ops.maximum(self.targets(y_true), 0)
        return binary_crossentropy(observed, y_pred["logits"])

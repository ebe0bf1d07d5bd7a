"""Assume negative, made softer: weights and label smoothing (Cole et al., 2021)."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def weighted_assume_negative(observed, logits):
    """`sum_l [z_l nl(p_l) + (1 - z_l) / (L - 1) nl(1 - p_l)]`, `nl(x) = -log x`, L_WAN.

    With one positive an image the assumed negatives weigh as much as it does. Known negatives
    weigh 1, as the positives do; the authors' code (`losses.py`, `loss_wan`) has none. Theirs is
    the mean over labels, where ours is the sum, as the other assume-negative losses here, and their
    `-log(x + 1e-5)` is exact here, from logits.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`, L at least 2.

    Returns:
        `(B,)`.
    """
    assumed_weight = 1 / (logits.shape[-1] - 1)
    negative = ops.where(observed < 0, 1.0, assumed_weight)
    terms = ops.where(observed > 0, ops.log_sigmoid(logits), negative * ops.log_sigmoid(-logits))
    return -ops.sum(terms, axis=-1)


def smoothed_assume_negative(observed, logits, label_smoothing=0.1):
    """`sum_l [t_l nl(p_l) + (1 - t_l) nl(1 - p_l)]`, `t = 1 - epsilon` if z is 1, else `epsilon`.

    L_AN-LS with the full epsilon on each side, as in the authors' code (`losses.py`, `loss_an_ls`);
    the paper has `epsilon / 2`. Known negatives count as the assumed ones, which they are smoothed
    like, as the observed positives are. Sum in place of mean, and exact, as `wan`.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        label_smoothing: epsilon, in [0, 1].

    Returns:
        `(B,)`.
    """
    targets = ops.where(observed > 0, 1.0 - label_smoothing, label_smoothing)
    log_p, log_not_p = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    return -ops.sum(targets * log_p + (1 - targets) * log_not_p, axis=-1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class WeightedAssumeNegative(MultiLabelLoss):
    """`wan`. See `weighted_assume_negative`."""

    def __init__(self, name="wan", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return weighted_assume_negative(self.targets(y_true), y_pred["logits"])


@keras.saving.register_keras_serializable(package="keras_patchpu")
class SmoothedAssumeNegative(MultiLabelLoss):
    """`an_ls`. See `smoothed_assume_negative` for the argument; 0.1 on every data set."""

    def __init__(self, label_smoothing=0.1, name="an_ls", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(
                "Invalid value for argument `label_smoothing`. Expected a number in [0, 1]. "
                f"Received: label_smoothing={label_smoothing}"
            )
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        return smoothed_assume_negative(
            self.targets(y_true), y_pred["logits"], self.label_smoothing
        )

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}

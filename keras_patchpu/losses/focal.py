"""Losses for the full truth that count easy labels less: focal and asymmetric."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def focal(labels, logits, gamma=2.0, alpha=0.25):
    """`sum_l [y_l alpha (1 - p_l)^gamma nl(p_l) + (1 - y_l) (1 - alpha) p_l^gamma nl(1 - p_l)]`.

    The focal loss of Lin et al. (2017), section 3.2; `nl(x) = -log x`. The gradient runs
    through the weights, as there. Labels of -1, unknown, count neither way. The sum over labels is
    that of `bce`; the paper divides by its number of matched boxes, which images have none of.

    Args:
        labels: `(B, L)` truth: 1, 0 or -1.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        gamma: how much less easy labels count, from 0 up.
        alpha: weight of the positives in [0, 1], 1 - alpha that of the negatives.

    Returns:
        `(B,)`.
    """
    log_p, log_not_p = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    positive_terms = -alpha * ops.exp(gamma * log_not_p) * log_p
    negative_terms = -(1 - alpha) * ops.exp(gamma * log_p) * log_not_p
    return sum_of_known(labels, positive_terms, negative_terms)


def asymmetric(labels, logits, gamma_negative=4.0, gamma_positive=0.0, clip=0.05):
    """`sum_l [y_l (1 - p_l)^gamma+ nl(p_l) + (1 - y_l) p_m^gamma- nl(1 - p_m)]`.

    With `p_m = max(p - clip, 0)`: ASL of Ridnik et al. (2021); authors' code
    `src/loss_functions/losses.py`. Labels of -1, unknown, count neither way.

    Two differences to the code. The gradient runs through the weights, as in the paper's analysis
    of it; the code can stop it, by a switch that its COCO recipe sets and that is
    commented out in the released `AsymmetricLoss`. Logarithms are exact from logits where the code
    clamps at 1e-8, which has no gradient beyond a logit of 18. The sum over the batch is a mean.

    Args:
        labels: `(B, L)` truth: 1, 0 or -1.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        gamma_negative: focus of the negatives, from 0 up.
        gamma_positive: focus of the positives, from 0 up.
        clip: probability in [0, 1) up to which a negative is no loss.

    Returns:
        `(B,)`.
    """
    positive_terms = -ops.exp(gamma_positive * ops.log_sigmoid(-logits)) * ops.log_sigmoid(logits)
    if clip:
        p = ops.relu(ops.sigmoid(logits) - clip)
        # A power of 0 has no finite slope for exponents below 1.
        weight = ops.power(ops.where(p > 0, p, 1.0), gamma_negative)
        negative_terms = ops.where(p > 0, -weight * ops.log1p(-p), 0.0)
    else:
        weight = ops.exp(gamma_negative * ops.log_sigmoid(logits))
        negative_terms = -weight * ops.log_sigmoid(-logits)
    return sum_of_known(labels, positive_terms, negative_terms)


def sum_of_known(labels, positive_terms, negative_terms):
    """Sum over labels `(B,)` of the terms `(B, L)` that labels of 1 and of 0 choose."""
    terms = ops.where(labels > 0, positive_terms, negative_terms)
    return ops.sum(ops.where(labels < 0, 0.0, terms), axis=-1)


def check_focus(**gammas) -> None:
    """Raises a `ValueError` where one is below 0."""
    for name, gamma in gammas.items():
        if not gamma >= 0:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected a number from 0 up. "
                f"Received: {name}={gamma}"
            )


@keras.saving.register_keras_serializable(package="keras_patchpu")
class Focal(MultiLabelLoss):
    """`focal`: full supervision. See `focal` for the arguments, whose defaults are the paper's."""

    supervised = True

    def __init__(self, gamma=2.0, alpha=0.25, name="focal", **kwargs):
        super().__init__(name=name, **kwargs)
        check_focus(gamma=gamma)
        if not 0 <= alpha <= 1:
            raise ValueError(
                "Invalid value for argument `alpha`. Expected a number in [0, 1]. "
                f"Received: alpha={alpha}"
            )
        self.gamma = gamma
        self.alpha = alpha

    def call(self, y_true, y_pred):
        return focal(self.targets(y_true), y_pred["logits"], self.gamma, self.alpha)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class Asymmetric(MultiLabelLoss):
    """`asl`: full supervision. See `asymmetric` for the arguments.

    The defaults are those of the authors' COCO recipe; their class has a positive gamma of 1, and
    Query2Label trains with 2, 0 and clip 0.
    """

    supervised = True

    def __init__(self, gamma_negative=4.0, gamma_positive=0.0, clip=0.05, name="asl", **kwargs):
        super().__init__(name=name, **kwargs)
        check_focus(gamma_negative=gamma_negative, gamma_positive=gamma_positive)
        if not 0 <= clip < 1:
            raise ValueError(
                "Invalid value for argument `clip`. Expected a probability in [0, 1). "
                f"Received: clip={clip}"
            )
        self.gamma_negative = gamma_negative
        self.gamma_positive = gamma_positive
        self.clip = clip

    def call(self, y_true, y_pred):
        return asymmetric(
            self.targets(y_true),
            y_pred["logits"],
            self.gamma_negative,
            self.gamma_positive,
            self.clip,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "gamma_negative": self.gamma_negative,
            "gamma_positive": self.gamma_positive,
            "clip": self.clip,
        }

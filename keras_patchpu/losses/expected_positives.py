"""Expected positive regularization (Cole et al., 2021, section 4.2)."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def expected_positives_penalty(logits, expected_positives):
    """`((mean_n sum_l p_nl) - k)^2 / L^2`: how far a batch's mean number of positives is from k.

    Args:
        logits: `(B, L)` with `p = sigmoid(logits)`.
        expected_positives: k, the mean number of positive labels an image.

    Returns:
        A scalar.
    """
    predicted = ops.mean(ops.sum(ops.sigmoid(logits), axis=-1))
    return ops.square((predicted - expected_positives) / logits.shape[-1])


def expected_positive_regularization(observed, logits, expected_positives):
    """`1/L sum_l z_l nl(p_l) + ((mean_n sum_l p_nl) - k)^2 / L^2`, L_EPR.

    Known negatives add their `nl(1 - p_l)` to the sum.

    As in the authors' code the positive term is a mean over labels, for that is what fixes its
    weight against the penalty, and the penalty is added to every image, so that the mean over
    the batch counts it once. Their `-log(p + 1e-5)` is exact here, from logits.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)`.
        expected_positives: k: 1.38 on VOC and 2.92 on COCO in the paper, 1.5 and 2.9 in
            the authors' code.

    Returns:
        `(B,)`.
    """
    observed_term = ops.mean(observed_crossentropy(observed, logits), axis=-1)
    return observed_term + expected_positives_penalty(logits, expected_positives)


def observed_crossentropy(observed, logits):
    """`nl(p)` of the observed positives, `nl(1 - p)` of the known negatives, 0 of the rest.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.

    Returns:
        `(B, L)`.
    """
    # sigmoid(-logits) is 1 - p.
    return -ops.abs(observed) * ops.log_sigmoid(observed * logits)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ExpectedPositiveRegularization(MultiLabelLoss):
    """`epr`. See `expected_positive_regularization`."""

    def __init__(self, expected_positives, name="epr", **kwargs):
        super().__init__(name=name, **kwargs)
        self.expected_positives = expected_positives

    def call(self, y_true, y_pred):
        return expected_positive_regularization(
            self.targets(y_true), y_pred["logits"], self.expected_positives
        )

    def get_config(self):
        return {**super().get_config(), "expected_positives": self.expected_positives}

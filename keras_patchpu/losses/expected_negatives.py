"""Expected negatives, expected positives and consistency (Verelst et al., 2023)."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.per_image_state import read_rows
from keras_patchpu.losses.running_scores import RunningScores


def expected_negative(observed, logits, expected):
    """`1/L sum_l [z_l nl(p_l) + (1 - z_l) (1 - z^_l) nl(1 - p_l)]`, L_EN (eq. 5).

    `nl(x) = -log x`. Labels that are expected to be positive, `z^`, are ignored, the other
    unobserved ones are negatives. Known negatives always are; the paper has none. In eq. 5 as it is
    written, without `1 - z_l`, an observed positive with too low a score is a negative, too.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        expected: `(B, L)` bool, the expected positives.

    Returns:
        `(B,)`.
    """
    ignored = ops.logical_and(expected, ops.equal(observed, 0))
    terms = ops.where(observed > 0, ops.log_sigmoid(logits), ops.log_sigmoid(-logits))
    return -ops.mean(ops.where(ignored, 0.0, terms), axis=-1)


def expected_positive(observed, logits, expected):
    """`expected_negative`, but the expected positives add `nl(p)`: L_EP (of table 2, with L_CL).

    Args:
        observed, logits, expected: see `expected_negative`.

    Returns:
        `(B,)`.
    """
    positive = ops.logical_or(observed > 0, ops.logical_and(expected, ops.equal(observed, 0)))
    terms = ops.where(positive, ops.log_sigmoid(logits), ops.log_sigmoid(-logits))
    return -ops.mean(terms, axis=-1)


def consistency(logits, scores):
    """`1/L sum_l abs(p_l - s_l)`, L_CL (eq. 6), where s has no gradient.

    The paper writes the norm without `1/L`. It is a mean here, as `expected_negative` is (eq. 5)
    and as that of the maps must be (eq. 7), for one weight gamma serves both (eq. 8).

    Args:
        logits: `(B, L)` with `p = sigmoid(logits)`.
        scores: `(B, L)`, the running averages of the epochs before.

    Returns:
        `(B,)`.
    """
    distance = ops.abs(ops.sigmoid(logits) - ops.stop_gradient(scores))
    return ops.mean(distance, axis=-1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ExpectedNegative(MultiLabelLoss):
    """`en`. See `expected_negative`. Needs `y_true` as a dict with `"observed"` and `"index"`.

    Every training step moves the scores of its images, `s = mu s + (1 - mu) p` (eq. 4). At the
    beginning of an epoch the images with the `K N sum_n z_nl / sum_nk z_nk` highest scores of label
    l become its expected positives: `K sum_n z_nl` (eq. 3) where each of the N images has one
    observed positive. In the first epoch these are the observed positives and L_EN is L_AN, mean
    over labels. Observed positives count among them, and remain positives where their score is too
    low.

    No code of the authors was found, and their text gives no start of s, no rounding and, as far as
    it could be read, neither mu nor gamma. The start here is the observed positives, the count is
    rounded; mu is that of a re-implementation by others, gamma 1.

    The state takes 32,832,720 bytes on COCO, see `RunningScores`.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        expected_positives: K, the mean number of positive labels an image.
        observed: `(N, L)` of the training set. Left out only where a saved model is loaded.
        mu: how much of the scores an epoch keeps.

    Raises:
        ValueError: an argument is out of range; `observed` has another shape; in `begin_epoch`,
            no positive is observed.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        name="en",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.state = RunningScores(num_examples, num_labels, expected_positives, observed, mu)

    def begin_epoch(self, epoch, epochs):
        self.state.rank()

    def call(self, y_true, y_pred):
        index, observed, logits = self.rows(y_true), self.targets(y_true), y_pred["logits"]
        loss = self.loss(observed, logits, read_rows(self.state.expected, index))
        if self.training:
            self.state.update(index, observed, ops.sigmoid(logits))
        return loss

    def loss(self, observed, logits, expected):
        """`(B,)`, see `expected_negative`."""
        return expected_negative(observed, logits, expected)

    def get_config(self):
        return {
            **super().get_config(),
            "num_examples": self.state.num_examples,
            "num_labels": self.state.num_labels,
            "expected_positives": self.state.expected_positives,
            "mu": self.state.mu,
        }


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ExpectedPositive(ExpectedNegative):
    """`ep`. See `expected_positive`, and `ExpectedNegative` for the arguments and the state."""

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        name="ep",
        **kwargs,
    ):
        super().__init__(
            num_examples, num_labels, expected_positives, observed, mu, name=name, **kwargs
        )

    def loss(self, observed, logits, expected):
        return expected_positive(observed, logits, expected)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ConsistentExpectedNegative(ExpectedNegative):
    """`en+cl`: `expected_negative` plus gamma times `consistency` (eqs. 6 and 8).

    Known negatives are pulled to a score of 0. See `ExpectedNegative` for the state and the other
    arguments.

    Args:
        gamma: weight of the consistency, from 0 up.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        gamma=1.0,
        name="en_cl",
        **kwargs,
    ):
        super().__init__(
            num_examples, num_labels, expected_positives, observed, mu, name=name, **kwargs
        )
        check_weight(gamma)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        # Before the scores move.
        distance = consistency(y_pred["logits"], read_rows(self.state.scores, self.rows(y_true)))
        return super().call(y_true, y_pred) + self.gamma * distance

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


def check_weight(gamma) -> None:
    """Raises a `ValueError` where the weight of the consistency is below 0."""
    if not gamma >= 0:
        raise ValueError(
            "Invalid value for argument `gamma`. Expected a number from 0 up. "
            f"Received: gamma={gamma}"
        )

"""Entropy maximization and asymmetric pseudo-labels (Zhou et al., 2022)."""

import keras
import numpy as np
from keras import ops

from keras_patchpu.losses.expected_positives import observed_crossentropy
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.per_image_state import check_sizes, read_rows, write_rows

# Above every probability: the label is no candidate for a pseudo-label.
NO_CANDIDATE = 2.0
NO_PSEUDO_LABEL = -1.0
# Of the unobserved labels, that are pseudo-labels in the end; of the authors on every data set.
NEGATIVE_SHARE = 0.9


def crossentropy(targets, logits):
    """`t nl(p) + (1 - t) nl(1 - p)`, `nl(x) = -log x`, of each entry `(B, L)`."""
    return -(targets * ops.log_sigmoid(logits) + (1 - targets) * ops.log_sigmoid(-logits))


def entropy_maximization(observed, logits, alpha=0.2):
    """`1/L sum_l [z_l nl(p_l) - (1 - z_l) alpha H(p_l)]`, L_EM.

    `H(p) = p nl(p) + (1 - p) nl(1 - p)`, `nl(x) = -log x`. The loss can be negative. Authors' code
    `losses.py`, `loss_EM`, which refuses known negatives; here they add `nl(1 - p)`. Its
    `-log(x + 1e-5)` is exact here, from logits.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        alpha: weight of the entropy.

    Returns:
        `(B,)`.
    """
    entropy = crossentropy(ops.sigmoid(logits), logits)
    return mean_over_labels(observed, logits, -alpha * entropy)


def entropy_maximization_with_pseudo_labels(observed, logits, pseudo_labels, alpha=0.2, beta=0.02):
    """`entropy_maximization`, but for unobserved labels with a pseudo-label t, in [0, 1], it adds
    `beta [t nl(p) + (1 - t) nl(1 - p)]`. Authors' code `losses.py`, `loss_EM_APL`.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        pseudo_labels: `(B, L)`, -1 where there is none.
        alpha: weight of the entropy.
        beta: weight of the pseudo-labels.

    Returns:
        `(B,)`.
    """
    entropy = crossentropy(ops.sigmoid(logits), logits)
    unobserved_terms = ops.where(
        pseudo_labels < 0, -alpha * entropy, beta * crossentropy(pseudo_labels, logits)
    )
    return mean_over_labels(observed, logits, unobserved_terms)


def mean_over_labels(observed, logits, unobserved_terms):
    """Mean `(B,)` of the terms `(B, L)` of unobserved labels and the crossentropy of the others."""
    known_terms = observed_crossentropy(observed, logits)
    return ops.mean(ops.where(ops.equal(observed, 0), unobserved_terms, known_terms), axis=-1)


def assign_pseudo_labels(scores, pseudo_labels, round_number, num_rounds) -> np.ndarray:
    """Adds the surest negatives to the pseudo-labels: the lowest scores of each label.

    Args:
        scores: `(N, L)` probabilities; above 1 for what is no candidate.
        pseudo_labels: `(N, L)`, -1 where there is none.
        round_number: from 1 to `num_rounds`; after it `int(0.9 U / num_rounds)` for each round so
            far of the U candidates of a label have a pseudo-label.
        num_rounds: how many there are in all.

    Returns:
        `(N, L)`: as given, with the score where there is a new one. Of equal scores the first rows.
    """
    pseudo_labels = pseudo_labels.copy()
    for column, labels in zip(scores.T, pseudo_labels.T, strict=True):
        is_candidate = column <= 1
        num_labelled = round_number * int(NEGATIVE_SHARE * is_candidate.sum() / num_rounds)
        num_new = max(num_labelled - int(np.sum(labels >= 0)), 0)
        open_rows = np.flatnonzero(is_candidate & (labels < 0))
        lowest = open_rows[np.argsort(column[open_rows], kind="stable")[:num_new]]
        labels[lowest] = column[lowest]
    return pseudo_labels


@keras.saving.register_keras_serializable(package="keras_patchpu")
class PseudoLabels(keras.layers.Layer):
    """The last probability of each unobserved label, and the pseudo-labels: float32 `(N, L)` each.

    82,081 images of COCO with 80 labels take 52,531,840 bytes.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
    """

    def __init__(self, num_examples, num_labels, name="pseudo_labels"):
        super().__init__(name=name, dtype="float32")
        check_sizes(num_examples, num_labels)
        self.num_examples = num_examples
        self.num_labels = num_labels
        self.scores, self.labels = (
            self.add_weight(
                shape=(num_examples, num_labels),
                initializer=keras.initializers.Constant(value),
                trainable=False,
                name=variable_name,
            )
            for variable_name, value in (("scores", NO_CANDIDATE), ("labels", NO_PSEUDO_LABEL))
        )
        self.built = True

    def get_config(self):
        return {
            "num_examples": self.num_examples,
            "num_labels": self.num_labels,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="keras_patchpu")
class EntropyMaximization(MultiLabelLoss):
    """`em`. See `entropy_maximization`.

    The default alpha is the authors' for VOC; 0.1 for COCO and NUS, 0.01 for CUB.
    """

    def __init__(self, alpha=0.2, name="em", **kwargs):
        super().__init__(name=name, **kwargs)
        self.alpha = alpha

    def call(self, y_true, y_pred):
        return entropy_maximization(self.targets(y_true), y_pred["logits"], self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class EntropyMaximizationWithPseudoLabels(MultiLabelLoss):
    """`em+apl`. See `entropy_maximization_with_pseudo_labels`. Needs `"observed"` and `"index"`.

    After `warmup_epochs`, at the beginning of each of the E epochs that are left,
    `int(0.9 U / E)` of the U unobserved labels of each class become soft negatives: those with the
    lowest probabilities among them that have no pseudo-label yet, which the probability becomes.

    Differences to the authors' code (`main.py`, `losses.py`):

    - it predicts the whole training set anew, with the weights at the end of the epoch and batch
      normalization of inference; here a label's probability is that of its last training step
    - it labels after the last epoch, too, to no effect
    - it keeps a pseudo-label as `-p` among the observed labels, so that one of exactly 0 does
      not count as one, and a known negative, -1, would be a pseudo-label of 1, a positive. Known
      negatives here add `nl(1 - p)` and are never candidates

    The state takes 52,531,840 bytes on COCO, see `PseudoLabels`.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        alpha: weight of the entropy.
        beta: weight of the pseudo-labels.
        warmup_epochs: epochs before the first pseudo-labels; w in the paper. alpha, beta and w of
            the authors: 0.2, 0.02, 5 for VOC, the defaults; 0.1, 0.9, 5 for COCO; 0.1, 0.2, 4 for
            NUS; 0.01, 0.4, 3 for CUB; in 10 epochs. In a training of no more epochs than these
            there are no pseudo-labels.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        alpha=0.2,
        beta=0.02,
        warmup_epochs=5,
        name="em_apl",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if not warmup_epochs >= 1:
            raise ValueError(
                "Invalid value for argument `warmup_epochs`. Expected 1 or more: the first epoch "
                f"has no probabilities yet. Received: warmup_epochs={warmup_epochs}"
            )
        self.alpha = alpha
        self.beta = beta
        self.warmup_epochs = warmup_epochs
        self.state = PseudoLabels(num_examples, num_labels)

    def begin_epoch(self, epoch, epochs):
        if epoch >= self.warmup_epochs:
            pseudo_labels = assign_pseudo_labels(
                self.state.scores.numpy(),
                self.state.labels.numpy(),
                round_number=epoch - self.warmup_epochs + 1,
                num_rounds=epochs - self.warmup_epochs,
            )
            self.state.labels.assign(pseudo_labels)

    def call(self, y_true, y_pred):
        index, observed, logits = self.rows(y_true), self.targets(y_true), y_pred["logits"]
        loss = entropy_maximization_with_pseudo_labels(
            observed, logits, read_rows(self.state.labels, index), self.alpha, self.beta
        )
        if self.training:
            scores = ops.where(ops.equal(observed, 0), ops.sigmoid(logits), NO_CANDIDATE)
            write_rows(self.state.scores, index, scores)
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "num_examples": self.state.num_examples,
            "num_labels": self.state.num_labels,
            "alpha": self.alpha,
            "beta": self.beta,
            "warmup_epochs": self.warmup_epochs,
        }

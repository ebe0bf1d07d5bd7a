"""Regularized online label estimation, ROLE (Cole et al., 2021, section 4.3)."""

import math

import keras
import numpy as np
from keras import ops

from keras_patchpu.losses.expected_positives import (
    expected_positives_penalty,
    observed_crossentropy,
)
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.per_image_state import observed_labels
from keras_patchpu.replicas import replica_context

# Unobserved labels start between logit(0.4) and logit(0.6), observed ones at logit(0.995), known
# negatives at logit(0.005).
UNOBSERVED_LIMIT = math.log(0.6 / 0.4)
OBSERVED_LOGIT = math.log(0.995 / 0.005)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LabelEstimator(keras.layers.Layer):
    """A free, trainable logit for each image and label of the training set: `(N, L)`.

    Its learning rate is `learning_rate_factor` times that of the model, which takes care of it
    in `compile`.

    4 bytes each: 82,081 images of COCO with 80 labels take 26,265,920 bytes, and Adam or LAMB
    remembers two times as much of them.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        observed: `(N, L)`: observed positives, 1, start at probability 0.995, known negatives, -1,
            at 0.005; without it (when a saved model is loaded) all entries start as unobserved.
        seed: of the start values of the unobserved entries.

    Call arguments:
        index: `(B,)` row numbers.

    Returns:
        Logits `(B, L)`.
    """

    learning_rate_factor = 10.0

    def __init__(self, num_examples, num_labels, observed=None, seed=0, name="label_estimator"):
        super().__init__(name=name, dtype="float32")
        logits = np.random.default_rng(seed).uniform(
            -UNOBSERVED_LIMIT, UNOBSERVED_LIMIT, (num_examples, num_labels)
        )
        observed = observed_labels(observed, num_examples, num_labels)
        logits = np.where(observed == 0, logits, observed * OBSERVED_LOGIT)
        self.num_examples = num_examples
        self.num_labels = num_labels
        self.seed = seed
        self.logits = self.add_weight(
            shape=logits.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(logits, dtype=dtype),
            name="logits",
        )
        self.built = True

    def call(self, index):
        logits = self.logits
        if replica_context() is not None:
            # A gradient of all rows: of those of some rows, which come from each replica, Adam and
            # LAMB would take the squares before they are added up.
            logits = ops.multiply(logits, 1.0)
        return ops.take(logits, ops.cast(index, "int32"), axis=0)

    def compute_output_shape(self, index_shape):
        return (*index_shape, self.num_labels)

    def get_config(self):
        return {
            "num_examples": self.num_examples,
            "num_labels": self.num_labels,
            "seed": self.seed,
            "name": self.name,
        }


def online_label_estimation(observed, logits, estimated_logits, expected_positives):
    """L_ROLE: model and estimated labels teach each other. With p and q their probabilities:

    `1/2 [z nl(p) + z nl(q)] + 1/2 [H(sg(q), p) + H(sg(p), q)]`, mean over labels, plus
    `1/2 [R(p) + R(q)]`, where `H(t, x) = t nl(x) + (1 - t) nl(1 - x)` runs over all labels, sg
    stops the gradient and R is `expected_positives_penalty`. Scales as in the authors' code (see
    `expected_positive_regularization`). Known negatives count as `nl(1 - p) + nl(1 - q)` beside
    `z nl(p) + z nl(q)`.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` of the model.
        estimated_logits: `(B, L)` of the label estimator.
        expected_positives: k, the mean number of positive labels an image.

    Returns:
        `(B,)`.
    """

    def crossentropy(teacher_logits, own_logits):
        target = ops.stop_gradient(ops.sigmoid(teacher_logits))
        return -(target * ops.log_sigmoid(own_logits) + (1 - target) * ops.log_sigmoid(-own_logits))

    def student_loss(own_logits, teacher_logits):
        per_label = observed_crossentropy(observed, own_logits)
        per_label += crossentropy(teacher_logits, own_logits)
        penalty = expected_positives_penalty(own_logits, expected_positives)
        return ops.mean(per_label, axis=-1) + penalty

    return 0.5 * (student_loss(logits, estimated_logits) + student_loss(estimated_logits, logits))


@keras.saving.register_keras_serializable(package="keras_patchpu")
class OnlineLabelEstimation(MultiLabelLoss):
    """`role`. Needs `y_true` as a dict with `"observed"` and `"index"`.

    The state takes 26,265,920 bytes on COCO and that twice in the optimizer, see `LabelEstimator`.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        expected_positives: k, the mean number of positive labels an image.
        observed: `(N, L)` of the training set, for the start values.
        seed: of the other start values.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        seed=0,
        name="role",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.expected_positives = expected_positives
        self.state = LabelEstimator(num_examples, num_labels, observed, seed)

    def call(self, y_true, y_pred):
        return online_label_estimation(
            self.targets(y_true),
            y_pred["logits"],
            self.state(self.rows(y_true)),
            self.expected_positives,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_examples": self.state.num_examples,
            "num_labels": self.state.num_labels,
            "expected_positives": self.expected_positives,
            "seed": self.state.seed,
        }

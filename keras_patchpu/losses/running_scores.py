"""Running averages of the predictions of every training image (Verelst et al., 2023)."""

import keras
import numpy as np
from keras import ops

from keras_patchpu.losses.per_image_state import observed_labels, read_rows, write_rows


def highest_scores(scores, counts) -> np.ndarray:
    """The images with the `counts[l]` highest scores of each label l, but none with a score of 0.

    Args:
        scores: `(N, L)`, from 0 up.
        counts: `(L,)` integers.

    Returns:
        `(N, L)` bool. Of equal scores the first rows.
    """
    highest = np.zeros(scores.shape, bool)
    for label, count in enumerate(counts):
        rows = np.argsort(-scores[:, label], kind="stable")[:count]
        highest[rows, label] = scores[rows, label] > 0
    return highest


@keras.saving.register_keras_serializable(package="keras_patchpu")
class RunningScores(keras.layers.Layer):
    """s, the running average of each image's probabilities, and the expected positives.

    s starts as the observed positives, 1, and 0 elsewhere: until an image has been seen it has no
    further expected positive. Known negatives stay at 0. Scores are float32, marks of expected
    positives a byte, their number int32: 82,081 images of COCO with 80 labels take 32,832,720
    bytes.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        expected_positives: K, the mean number of positive labels an image.
        observed: `(N, L)`: 1 observed positive, 0 unobserved, -1 known negative. May be left out
            where a saved model is loaded.
        mu: how much of s an epoch keeps.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        name="running_scores",
    ):
        super().__init__(name=name, dtype="float32")
        if not expected_positives > 0:
            raise ValueError(
                "Invalid value for argument `expected_positives`. Expected a positive number. "
                f"Received: expected_positives={expected_positives}"
            )
        if not 0 <= mu <= 1:
            raise ValueError(
                f"Invalid value for argument `mu`. Expected a number in [0, 1]. Received: mu={mu}"
            )
        positives = observed_labels(observed, num_examples, num_labels) > 0
        # K N positives in all, shared out as the observed ones are.
        share = positives.sum(axis=0) / max(positives.sum(), 1)
        counts = np.rint(expected_positives * num_examples * share)
        self.num_examples = num_examples
        self.num_labels = num_labels
        self.expected_positives = expected_positives
        self.mu = mu
        self.scores = self.add_weight(
            shape=positives.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(positives, dtype=dtype),
            trainable=False,
            name="scores",
        )
        self.expected = self.add_weight(
            shape=positives.shape,
            dtype="bool",
            initializer="zeros",
            trainable=False,
            name="expected",
        )
        self.counts = self.add_weight(
            shape=counts.shape,
            dtype="int32",
            initializer=lambda shape, dtype: ops.convert_to_tensor(counts, dtype=dtype),
            trainable=False,
            name="counts",
        )
        self.built = True

    def rank(self) -> None:
        """Marks the images with the highest scores of each label l, see `ExpectedNegative`.

        Raises:
            ValueError: no positive was observed.
        """
        counts = self.counts.numpy()
        if not counts.any():
            raise ValueError(
                "Invalid value for argument `observed`. Expected the observed labels of the "
                "training set, with positives. Received: none, or no positive"
            )
        self.expected.assign(highest_scores(self.scores.numpy(), counts))

    def update(self, index, observed, probabilities) -> None:
        """`s = mu s + (1 - mu) p` in the rows `index`, 0 for known negatives.

        Args:
            index: `(B,)` int32.
            observed: `(B, L)`.
            probabilities: `(B, L)`.
        """
        scores = self.mu * read_rows(self.scores, index) + (1 - self.mu) * probabilities
        write_rows(self.scores, index, ops.where(observed < 0, 0.0, scores))

    def get_config(self):
        return {
            "num_examples": self.num_examples,
            "num_labels": self.num_labels,
            "expected_positives": self.expected_positives,
            "mu": self.mu,
            "name": self.name,
        }

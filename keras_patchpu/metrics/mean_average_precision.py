"""The exact mean average precision, as the field reports it."""

import keras
from keras import ops

from keras_patchpu.replicas import over_replicas


def average_precision(labels, scores):
    """Average precision of each label, that of `sklearn.metrics.average_precision_score`.

    `sum_t (R_t - R_{t-1}) P_t` over the distinct scores t from the highest down; images of the
    same score enter together. Not interpolated. `keras.metrics.AUC(curve="PR")` is another
    quantity, up to 20 points lower when scores saturate.

    Args:
        labels: `(N, L)`: 1 present, 0 absent, -1 unknown: that image is left out for that label.
        scores: `(N, L)` logits or probabilities, only their order counts.

    Returns:
        float32 `(L,)` in [0, 1]; 0 for a label without a positive, NaN for one with a score that
        is NaN.
    """
    labels, scores = ops.transpose(ops.cast(labels, "float32")), ops.transpose(scores)
    order = ops.argsort(-scores, axis=-1)
    scores = ops.take_along_axis(scores, order, axis=-1)
    labels = ops.take_along_axis(labels, order, axis=-1)

    positive = ops.cast(labels > 0, "float32")
    true_positives = ops.cumsum(positive, axis=-1)
    predicted = ops.cumsum(ops.cast(labels >= 0, "float32"), axis=-1)
    precision = true_positives / ops.maximum(predicted, 1.0)

    # All images of one score share the precision at the last of them.
    ends = ops.concatenate(
        [ops.not_equal(scores[:, 1:], scores[:, :-1]), ops.ones_like(scores[:, :1], dtype="bool")],
        axis=-1,
    )
    position = ops.broadcast_to(ops.arange(scores.shape[-1], dtype="int32"), ops.shape(scores))
    end = ops.where(ends, position, scores.shape[-1] - 1)
    end = ops.associative_scan(ops.minimum, end, reverse=True, axis=1)
    end = ops.reshape(end, ops.shape(scores))  # the scan forgets it under a TensorFlow graph
    precision = ops.take_along_axis(precision, end, axis=-1)

    num_positive = ops.sum(positive, axis=-1)
    precisions = ops.sum(precision * positive, axis=-1) / ops.maximum(num_positive, 1.0)
    # NaN has no place in the order: a diverged model would get some number or other.
    unordered = ops.any(ops.logical_and(ops.isnan(scores), labels >= 0), axis=-1)
    return ops.where(unordered, float("nan"), precisions)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class MeanAveragePrecision(keras.metrics.Metric):
    """mAP: the mean of `average_precision` over the labels, in [0, 1].

    Keeps every score, and sorts in `result`: two buffers of `(max_examples, L)`, 10 MB for the
    default and 20 labels.

    Args:
        empty: what a label without a positive counts: `"zero"`, as the field's code does, or
            `"skip"`, not at all.
        max_examples: how many images can be seen between two resets. With more, the result is
            NaN rather than a number over a part of them.
    """

    def __init__(self, empty="zero", max_examples=65536, name="mean_average_precision", **kwargs):
        super().__init__(name=name, **kwargs)
        if empty not in ("zero", "skip"):
            raise ValueError(
                f"Invalid value for argument `empty`. Expected 'zero' or 'skip'. Received: {empty}"
            )
        self.empty = empty
        self.max_examples = max_examples
        self.num_examples = self._variable((), "zeros", dtype="int32", name="num_examples")
        self.labels = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch.

        Args:
            y_true: `(B, L)` truth: 1, 0 or -1 (unknown), or a dict with it under `"labels"`.
            y_pred: `(B, L)` logits or probabilities.
            sample_weight: must be None.
        """
        if sample_weight is not None:
            raise ValueError("MeanAveragePrecision has no sample weights.")
        labels = y_true["labels"] if isinstance(y_true, dict) else y_true
        labels, scores = over_replicas((labels, ops.cast(y_pred, "float32")))
        if self.labels is None:
            shape = (self.max_examples, scores.shape[-1])
            self.labels = self._variable(shape, self._unknown, dtype="float32", name="labels")
            self.scores = self._variable(shape, "zeros", dtype="float32", name="scores")

        # Rows past the end all go to the last one; `result` sees from the count that there were.
        rows = self.num_examples + ops.arange(ops.shape(scores)[0], dtype="int32")
        rows = ops.minimum(rows, self.max_examples - 1)[:, None]
        self.labels.assign(ops.scatter_update(self.labels, rows, ops.cast(labels, "float32")))
        self.scores.assign(ops.scatter_update(self.scores, rows, scores))
        self.num_examples.assign_add(ops.shape(scores)[0])

    def _variable(self, *arguments, **options):
        # Each replica keeps all: a sum of them, Keras's default, would be of no use.
        return self.add_variable(*arguments, aggregation="only_first_replica", **options)

    @staticmethod
    def _unknown(shape, dtype=None):
        return -ops.ones(shape, dtype=dtype)

    def per_label(self):
        """Average precision of each label, `(L,)`."""
        return average_precision(self.labels, self.scores)

    def result(self):
        if self.labels is None:
            return ops.zeros(())
        precisions = self.per_label()
        if self.empty == "skip":
            counted = ops.cast(ops.any(self.labels > 0, axis=0), "float32")
        else:
            counted = ops.ones_like(precisions)
        mean = ops.sum(precisions * counted) / ops.maximum(ops.sum(counted), 1.0)
        return ops.where(self.num_examples <= self.max_examples, mean, float("nan"))

    def reset_state(self):
        self.num_examples.assign(0)
        if self.labels is not None:
            self.labels.assign(self._unknown(self.labels.shape, "float32"))

    def get_config(self):
        return {**super().get_config(), "empty": self.empty, "max_examples": self.max_examples}

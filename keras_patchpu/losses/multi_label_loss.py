"""What every loss of the package shares."""

from collections.abc import Mapping

import keras
from keras import ops


class MultiLabelLoss(keras.losses.Loss):
    """A loss between the labels of B images and what a model says of them, `(B,)` a batch.

    A subclass implements `call(y_true, y_pred)` and returns one value an image: Keras takes the
    mean and scales it right under several replicas, which it does not do with a scalar, nor with
    another `reduction` than a mean.

    `y_true` is the labels `(B, L)`, or a dict with them under `"observed"` (1 observed positive, 0
    unobserved, -1 known negative) or, where `supervised` is true, under `"labels"` (1 present, 0
    absent, -1 unknown), and, for losses that remember each image, the row number of the image
    in the training set under `"index"`, `(B,)`. Losses are computed in float32, which holds
    indices up to 2^24.

    `y_pred` is the dict that the models return: `"logits"` `(B, L)`, `"image_embeddings"`
    `(B, L, F)` and `"attention"` `(B, L, M)`.

    What a loss remembers of an image changes in training steps only, of which the model tells it by
    the attribute `training`. `model.evaluate`, and a call by hand, read the memory and leave it as
    it is; on other images than those of the training set it is not theirs. What changes from
    epoch to epoch changes in `begin_epoch`.

    Attributes:
        supervised: whether the loss learns from the full truth rather than observed positives.
        state: a built `keras.layers.Layer` with what the loss remembers of each image, or `None`.
            The model tracks it, so that it is trained, saved and resumed.
        training: whether the next call is a part of a training step; false again after it.
    """

    supervised = False
    state = None
    training = False

    def __call__(self, y_true, y_pred, sample_weight=None):
        try:
            return super().__call__(y_true, y_pred, sample_weight)
        finally:
            self.training = False

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """What the loss does before the first step of an epoch, outside of any graph.

        Args:
            epoch: counted from 0.
            epochs: how many there are in all.
        """

    def targets(self, y_true):
        """The labels `(B, L)` that this loss learns from."""
        if isinstance(y_true, Mapping):
            return y_true["labels" if self.supervised else "observed"]
        return y_true

    def rows(self, y_true):
        """The row numbers `(B,)` of the images in the training set, int32.

        Raises:
            ValueError: `y_true` has none.
        """
        if not isinstance(y_true, Mapping) or "index" not in y_true:
            raise ValueError(
                f"Invalid value for argument `y_true`. The loss {self.name} expects a dict with "
                '"observed" and "index", the row numbers of the images in the training set. '
                f"Received: {sorted(y_true) if isinstance(y_true, Mapping) else type(y_true)}"
            )
        return ops.cast(y_true["index"], "int32")

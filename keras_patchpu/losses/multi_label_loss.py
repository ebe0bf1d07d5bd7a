"""What every loss of the package shares."""

from collections.abc import Mapping

import keras


class MultiLabelLoss(keras.losses.Loss):
    """A loss between the labels of B images and what a model says of them, `(B,)` a batch.

    A subclass implements `call(y_true, y_pred)` and returns one value an image: Keras takes the
    mean and scales it right under several replicas, which it does not do with a scalar.

    `y_true` is the labels `(B, L)`, or a dict with them under `"observed"` (1 observed positive, 0
    unobserved, -1 known negative) or, where `supervised` is true, under `"labels"` (1 present, 0
    absent, -1 unknown), and, for losses that remember each image, the row number of the image
    in the training set under `"index"`, `(B,)`. Losses are computed in float32, which holds
    indices up to 2^24.

    `y_pred` is the dict that the models return: `"logits"` `(B, L)`, `"image_embeddings"`
    `(B, L, F)` and `"attention"` `(B, L, M)`.

    Attributes:
        supervised: whether the loss learns from the full truth rather than observed positives.
        state: a built `keras.layers.Layer` with what the loss remembers of each image, or `None`.
            The model tracks it, so that it is trained, saved and resumed.
    """

    supervised = False
    state = None

    def targets(self, y_true):
        """The labels `(B, L)` that this loss learns from."""
        if isinstance(y_true, Mapping):
            return y_true["labels" if self.supervised else "observed"]
        return y_true

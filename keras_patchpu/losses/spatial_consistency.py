"""The spatial consistency loss (Verelst et al., 2023)."""

import keras
from keras import ops

from keras_patchpu.crop_and_flip import transform_maps
from keras_patchpu.losses.expected_negatives import check_weight, expected_negative
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.per_image_state import read_rows
from keras_patchpu.losses.running_maps import RunningMaps


def attention_score_maps(logits, attention, grid):
    """Score maps of a model that pools by attention, which says where but not how much.

    `F_l = p_l a_l / max a_l` over the patches of the finest level, so that the place which label l
    looks at most has the score of the label, as a class activation map's peak has about.

    Args:
        logits: `(B, L)` with `p = sigmoid(logits)`.
        attention: `(B, L, M)` of all patches, the finest level first: not of a model that takes a
            part of them in training (`patches_per_level`).
        grid: `(rows, columns)` of that level.

    Returns:
        `(B, L, rows, columns)` in [0, 1].

    Raises:
        ValueError: there are fewer patches than the grid has.
    """
    rows, columns = grid
    if attention.shape[-1] is not None and attention.shape[-1] < rows * columns:
        raise ValueError(
            f"Invalid value for argument `grid`. Expected at most the {attention.shape[-1]} "
            f"patches of the attention. Received: grid={grid}"
        )
    finest = ops.reshape(attention[:, :, : rows * columns], (-1, attention.shape[1], rows, columns))
    # All that attention can vanish from the finest level, to 0 in float32.
    peak = ops.maximum(ops.max(finest, axis=(2, 3), keepdims=True), 1e-12)
    return ops.sigmoid(logits)[:, :, None, None] * finest / peak


def spatial_consistency(score_maps, running_maps, crop, flip):
    """`1/(L h w) sum abs(F - T(H))`, L_SCL (eq. 7), where H has no gradient.

    T is the crop and flip of the picture and the resize to the grid of F. A mean over cells and
    labels where the paper writes a norm, see `consistency`.

    Args:
        score_maps: F, `(B, L, h, w)`.
        running_maps: H of the epochs before, `(B, L, S, S)`.
        crop, flip: `(B, 4)` and `(B,)`, see `transform_maps`.

    Returns:
        `(B,)`.
    """
    seen = transform_maps(running_maps, crop, flip, *score_maps.shape[2:])
    return ops.mean(ops.abs(score_maps - ops.stop_gradient(seen)), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="keras_patchpu")
class SpatiallyConsistentExpectedNegative(MultiLabelLoss):
    """`en+scl`: `expected_negative` plus gamma times `spatial_consistency` (eqs. 7 and 8).

    The score maps are the sigmoid of `y_pred["score_maps"]`, logits `(B, L, h, w)` such as class
    activation maps; of a model without, `attention_score_maps`.

    `y_true` is a dict with `"observed"` and `"index"` and, where pictures are cropped and flipped,
    `"crop"` and `"flip"`, see `transform_maps`; without these pictures are whole. In a training
    step the running map moves where the crop is, `H = mu H + (1 - mu) F`, and keeps its other
    values.

    A score map is taken to cover the picture, as the patches of a level do where their size divides
    that of the image.

    Scores, expected positives and what is not known of the paper are those of `ExpectedNegative`;
    the start and the size of the maps are not known either. Known negatives are pulled to maps of
    0.

    The state takes 2,606,892,880 bytes on COCO, see `RunningMaps`. They are also saved, with every
    model file.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        expected_positives: K, the mean number of positive labels an image.
        observed: `(N, L)` of the training set. Left out only where a saved model is loaded.
        mu: how much of the scores and maps an epoch keeps.
        gamma: weight of the consistency, from 0 up.
        map_size: rows and columns of a running map.
        grid: `(rows, columns)` of the finest level of patches, for models without score maps.

    Raises:
        ValueError: an argument is out of range; `observed` has another shape; in `begin_epoch`,
            no positive is observed; in `call`, neither score maps nor a grid are there.
    """

    def __init__(
        self,
        num_examples,
        num_labels,
        expected_positives,
        observed=None,
        mu=0.8,
        gamma=1.0,
        map_size=14,
        grid=None,
        name="en_scl",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        check_weight(gamma)
        self.gamma = gamma
        self.grid = None if grid is None else tuple(grid)
        if grid is not None and (len(self.grid) != 2 or min(self.grid) < 1):
            raise ValueError(
                "Invalid value for argument `grid`. Expected two positive integers, rows and "
                f"columns. Received: grid={grid}"
            )
        self.state = RunningMaps(
            num_examples, num_labels, expected_positives, observed, mu, map_size
        )

    def begin_epoch(self, epoch, epochs):
        self.state.rank()

    def call(self, y_true, y_pred):
        index, observed, logits = self.rows(y_true), self.targets(y_true), y_pred["logits"]
        score_maps = self.score_maps(y_pred)
        crop, flip = crop_and_flip(y_true, index)
        expected = read_rows(self.state.expected, index)
        distance = spatial_consistency(score_maps, self.state.read_maps(index), crop, flip)
        if self.training:
            self.state.update(index, observed, ops.sigmoid(logits))
            self.state.update_maps(index, observed, score_maps, crop, flip)
        return expected_negative(observed, logits, expected) + self.gamma * distance

    def score_maps(self, y_pred):
        """F, `(B, L, h, w)`, of the outputs of a model."""
        if "score_maps" in y_pred:
            return ops.sigmoid(y_pred["score_maps"])
        if self.grid is None:
            raise ValueError(
                "Invalid value for argument `grid`. Expected the rows and columns of the finest "
                "level of patches, for the model has no score maps. Received: grid=None"
            )
        return attention_score_maps(y_pred["logits"], y_pred["attention"], self.grid)

    def get_config(self):
        return {
            **super().get_config(),
            "num_examples": self.state.num_examples,
            "num_labels": self.state.num_labels,
            "expected_positives": self.state.expected_positives,
            "mu": self.state.mu,
            "gamma": self.gamma,
            "map_size": self.state.map_size,
            "grid": self.grid,
        }


def crop_and_flip(y_true, index):
    """The crop `(B, 4)` and flip `(B,)` of each picture; of the whole one where not given."""
    zeros = ops.zeros_like(index, dtype="float32")
    crop = y_true.get("crop", ops.stack([zeros, zeros, zeros + 1, zeros + 1], axis=1))
    return crop, y_true.get("flip", zeros)

"""Large losses are taken for missing labels (Kim et al., 2022): LL-R, LL-Ct and LL-Cp."""

import keras
from keras import ops

from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.per_image_state import check_sizes, read_rows, write_rows


def large_losses(losses, candidates, fraction):
    """The `ceil(B L fraction)` largest losses of the candidates, and all that tie with the last.

    Args:
        losses: `(B, L)`.
        candidates: `(B, L)` bool.
        fraction: of the B L entries, a scalar.

    Returns:
        `(B, L)` bool.
    """
    ranked = ops.sort(ops.reshape(ops.where(candidates, -losses, float("inf")), (-1,)))
    size = ops.size(ranked)
    # A rounding error of the product is no reason for one more.
    count = ops.cast(ops.ceil(ops.cast(size, "float32") * fraction * (1 - 1e-6)), "int32")
    last = ops.take(ranked, ops.clip(count - 1, 0, size - 1))
    return ops.logical_and(ops.logical_and(candidates, -losses <= last), count > 0)


def large_loss_rejection(observed, logits, fraction):
    """`1/L sum_l [z_l nl(p_l) + (1 - z_l) (1 - large_l) nl(1 - p_l)]`, L_LL-R.

    `nl(x) = -log x`; `large` are the `large_losses` among the unobserved labels of the batch
    (authors' code `losses.py`, `compute_batch_loss`). As there, rejected entries stay in the
    denominator. Known negatives are negatives that are never rejected, as there, and observed
    positives are not either: the code's comparison takes them in, too, once fewer unobserved labels
    are left than it wants to reject.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        fraction: of the B L entries that are rejected.

    Returns:
        `(B,)`.
    """
    losses, _, large = assumed_and_large(observed, logits, fraction)
    return ops.mean(ops.where(large, 0.0, losses), axis=-1)


def large_loss_correction(observed, logits, fraction):
    """`large_loss_rejection` with `nl(p)`, a positive, for the large ones: L_LL-Ct and L_LL-Cp.

    Args:
        observed, logits, fraction: see `large_loss_rejection`.

    Returns:
        The loss `(B,)`, and which labels were taken as positives `(B, L)` bool.
    """
    losses, as_positive, large = assumed_and_large(observed, logits, fraction)
    return ops.mean(ops.where(large, as_positive, losses), axis=-1), large


def assumed_and_large(observed, logits, fraction):
    """Losses of `an` and of positives, and the large ones of the unobserved: each `(B, L)`."""
    as_positive = -ops.log_sigmoid(logits)
    losses = ops.where(observed > 0, as_positive, -ops.log_sigmoid(-logits))
    return losses, as_positive, large_losses(losses, ops.equal(observed, 0), fraction)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LargeLossState(keras.layers.Layer):
    """The fraction of this epoch, 4 bytes; for LL-Cp also which labels were flipped.

    Flipped labels take a byte each: 82,081 images of COCO with 80 labels take 6,566,480 bytes.

    Args:
        num_examples: N, the number of training images; 0 where no flips are kept.
        num_labels: L.
    """

    def __init__(self, num_examples=0, num_labels=0, name="large_loss_state"):
        super().__init__(name=name, dtype="float32")
        self.num_examples = num_examples
        self.num_labels = num_labels
        self.fraction = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="fraction"
        )
        if num_examples:
            # Not bool, of which TensorFlow cannot write rows on a GPU.
            self.flipped = self.add_weight(
                shape=(num_examples, num_labels),
                dtype="uint8",
                initializer="zeros",
                trainable=False,
                name="flipped",
            )
        self.built = True

    def get_config(self):
        return {
            "num_examples": self.num_examples,
            "num_labels": self.num_labels,
            "name": self.name,
        }


class LargeLoss(MultiLabelLoss):
    """What the three have in common: from the second epoch on large losses are handled.

    Args:
        delta_rel: in percent. In epoch t = 1, 2, ... `(t - 1) delta_rel` percent of a batch's
            entries are large. The authors' values are for 10 epochs: with more, more are large in
            the end.
    """

    def __init__(self, delta_rel, name, **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 <= delta_rel <= 100:
            raise ValueError(
                "Invalid value for argument `delta_rel`. Expected percent, in [0, 100]. "
                f"Received: delta_rel={delta_rel}"
            )
        self.delta_rel = delta_rel
        self.state = LargeLossState()

    def begin_epoch(self, epoch, epochs):
        self.state.fraction.assign(min(epoch * self.delta_rel / 100, 1.0))

    def get_config(self):
        return {**super().get_config(), "delta_rel": self.delta_rel}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LargeLossRejection(LargeLoss):
    """`ll_r`. See `large_loss_rejection` and `LargeLoss`.

    The default is the authors' for VOC (issue 4 of their repository); 0.4 for COCO, NUS and CUB.
    """

    def __init__(self, delta_rel=0.2, name="ll_r", **kwargs):
        super().__init__(delta_rel, name, **kwargs)

    def call(self, y_true, y_pred):
        return large_loss_rejection(self.targets(y_true), y_pred["logits"], self.state.fraction)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LargeLossTemporaryCorrection(LargeLoss):
    """`ll_ct`: flipped for this step. See `large_loss_correction` and `LargeLoss`.

    The default is the authors' for VOC (issue 4 of their repository) and COCO; 0.4 for CUB.
    """

    def __init__(self, delta_rel=0.2, name="ll_ct", **kwargs):
        super().__init__(delta_rel, name, **kwargs)

    def call(self, y_true, y_pred):
        loss, _ = large_loss_correction(self.targets(y_true), y_pred["logits"], self.state.fraction)
        return loss


@keras.saving.register_keras_serializable(package="keras_patchpu")
class LargeLossPermanentCorrection(LargeLoss):
    """`ll_cp`: flipped for good. See `large_loss_correction`. Needs `"observed"` and `"index"`.

    From the second epoch on `delta_rel` percent of a batch's entries are flipped in every step, for
    the labels that were flipped before are positives now. Differences to the authors' code
    (`losses.py`, `train.py`): it asks `P['mod_scheme'] is 'LL-Cp'`, which is false for a string of
    the command line, so that it flips as many as LL-Ct does, `(t - 1) delta_rel`, and in some
    versions for the step only; and it writes down the entries above the smallest large loss,
    without it and all that tie with it, which are positives in the step. Here both are the same.

    The state takes 6,566,484 bytes on COCO, see `LargeLossState`.

    Args:
        num_examples: N, the number of training images.
        num_labels: L.
        delta_rel: in percent of a batch's entries. The default is the authors' for VOC (issue 4 of
            their repository); 0.2 for COCO, NUS and CUB.
    """

    def __init__(self, num_examples, num_labels, delta_rel=0.1, name="ll_cp", **kwargs):
        super().__init__(delta_rel, name, **kwargs)
        check_sizes(num_examples, num_labels)
        self.state = LargeLossState(num_examples, num_labels)

    def begin_epoch(self, epoch, epochs):
        super().begin_epoch(min(epoch, 1), epochs)

    def call(self, y_true, y_pred):
        index = self.rows(y_true)
        observed = self.targets(y_true)
        flipped = read_rows(self.state.flipped, index) > 0
        observed = ops.where(flipped, 1.0, observed)
        loss, large = large_loss_correction(observed, y_pred["logits"], self.state.fraction)
        if self.training:
            write_rows(self.state.flipped, index, ops.logical_or(flipped, large))
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "num_examples": self.state.num_examples,
            "num_labels": self.state.num_labels,
        }

"""The generalized robust loss (Chen et al., 2024)."""

import keras
from keras import ops

from keras_patchpu.losses.expected_positives import observed_crossentropy
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss


def generalized_robust(observed, logits, w, b, mu, sigma, q2=0.01, q3=1.0):
    """`nl(p)` of the positives and, of the unobserved labels,

    `v(p) [k(p) (1 - p^q2) / q2 + (1 - k(p)) (1 - (1 - p)^q3) / q3]`, mean over labels.

    With `k(p) = sigmoid(w p + b)`, how surely a label is a missed positive, and
    `v(p) = exp(-((p - mu) / sigma)^2 / 2)`, how much it counts; both without gradient (authors'
    code `losses.py`, `GR_loss`; `models.py`, `KFunction`, `VFunction`). Known negatives, which the
    code leaves out of the loss, add `nl(1 - p)`. Powers and logarithms are exact here, from
    logits, where the code adds 1e-7 to the latter.

    Args:
        observed: `(B, L)`: 1 observed positive, 0 unobserved, -1 known negative.
        logits: `(B, L)` with `p = sigmoid(logits)`.
        w, b: slope and offset of k, scalars.
        mu, sigma: place and width of v, scalars, sigma above 0.
        q2, q3: robustness of the positive and of the negative part, above 0: towards 0 a
            crossentropy, at 1 an absolute error.

    Returns:
        `(B,)`.
    """
    log_p, log_not_p = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    p = ops.stop_gradient(ops.sigmoid(logits))
    k = ops.sigmoid(w * p + b)
    v = ops.exp(-0.5 * ops.square((p - mu) / sigma))
    as_positive = -ops.expm1(q2 * log_p) / q2
    as_negative = -ops.expm1(q3 * log_not_p) / q3
    unobserved_terms = v * (k * as_positive + (1 - k) * as_negative)
    known_terms = observed_crossentropy(observed, logits)
    return ops.mean(ops.where(ops.equal(observed, 0), unobserved_terms, known_terms), axis=-1)


@keras.saving.register_keras_serializable(package="keras_patchpu")
class RobustSchedule(keras.layers.Layer):
    """w, b, mu and sigma of the epoch: 16 bytes.

    Args:
        start: their values until an epoch begins.
    """

    def __init__(self, start, name="robust_schedule"):
        super().__init__(name=name, dtype="float32")
        self.start = tuple(start)
        self.values = self.add_weight(
            shape=(4,),
            initializer=lambda shape, dtype: ops.convert_to_tensor(self.start, dtype=dtype),
            trainable=False,
            name="values",
        )
        self.built = True

    def get_config(self):
        return {"start": self.start, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_patchpu")
class GeneralizedRobust(MultiLabelLoss):
    """`gr`. See `generalized_robust`; w, b, mu and sigma change linearly from epoch to epoch.

    In epoch e = 0, 1, ... of E, w and b are `e / E` and mu and sigma `(e + 1) / E` of the way from
    their first to their last value, as in the authors' code (`train.py`): w and b never get
    there. Its command line cannot set any of these, for `type=list` makes characters of a string.

    Args:
        w, b, mu, sigma: first and last value of each. The defaults are those of the authors' code
            for VOC; for COCO, NUS and CUB the configurations of AEVLP (Fsoft-AIC) have w (0, 10)
            and b (-2, -8).
        q2, q3: see `generalized_robust`; q3 is 1.5 on CUB.
    """

    def __init__(
        self,
        w=(0.0, 2.0),
        b=(-2.0, -2.0),
        mu=(0.5, 0.8),
        sigma=(2.0, 0.5),
        q2=0.01,
        q3=1.0,
        name="gr",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if not min(*sigma, q2, q3) > 0:
            raise ValueError(
                "Invalid value for argument `sigma`, `q2` or `q3`. Expected positive numbers. "
                f"Received: sigma={sigma}, q2={q2}, q3={q3}"
            )
        self.w, self.b, self.mu, self.sigma = (tuple(ends) for ends in (w, b, mu, sigma))
        self.q2 = q2
        self.q3 = q3
        self.state = RobustSchedule([ends[0] for ends in (self.w, self.b, self.mu, self.sigma)])

    def begin_epoch(self, epoch, epochs):
        progress = (epoch, epoch, epoch + 1, epoch + 1)
        self.state.values.assign(
            [
                first + numerator / epochs * (last - first)
                for (first, last), numerator in zip(
                    (self.w, self.b, self.mu, self.sigma), progress, strict=True
                )
            ]
        )

    def call(self, y_true, y_pred):
        w, b, mu, sigma = ops.unstack(ops.convert_to_tensor(self.state.values), num=4)
        return generalized_robust(
            self.targets(y_true), y_pred["logits"], w, b, mu, sigma, self.q2, self.q3
        )

    def get_config(self):
        return {
            **super().get_config(),
            "w": self.w,
            "b": self.b,
            "mu": self.mu,
            "sigma": self.sigma,
            "q2": self.q2,
            "q3": self.q3,
        }

"""The losses, by the names of the field."""

from keras_patchpu.losses.binary_crossentropy import (
    AssumeNegative,
    BinaryCrossentropy,
    binary_crossentropy,
)
from keras_patchpu.losses.expected_positives import (
    ExpectedPositiveRegularization,
    expected_positive_regularization,
)
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.online_label_estimation import (
    OnlineLabelEstimation,
    online_label_estimation,
)
from keras_patchpu.losses.weak_negative import WeakNegative, weak_negative, weak_negatives

LOSSES = {
    "bce": BinaryCrossentropy,
    "wn": WeakNegative,
    "an": AssumeNegative,
    "epr": ExpectedPositiveRegularization,
    "role": OnlineLabelEstimation,
}


def get(name: str, **options) -> MultiLabelLoss:
    """The loss of that name, such as `get("wn", theta=0.1)`.

    Args:
        name: one of `"bce"`, `"wn"`, `"an"`, `"epr"`, `"role"`.
        **options: arguments of its class.

    Raises:
        ValueError: if there is no such loss.
    """
    if name not in LOSSES:
        raise ValueError(
            f"Invalid value for argument `name`. Expected one of {', '.join(LOSSES)}. "
            f"Received: name={name}"
        )
    return LOSSES[name](**options)


__all__ = [
    "LOSSES",
    "AssumeNegative",
    "BinaryCrossentropy",
    "ExpectedPositiveRegularization",
    "MultiLabelLoss",
    "OnlineLabelEstimation",
    "WeakNegative",
    "binary_crossentropy",
    "expected_positive_regularization",
    "get",
    "online_label_estimation",
    "weak_negative",
    "weak_negatives",
]

"""The losses, by the names of the field."""

import inspect

from keras_patchpu.losses.binary_crossentropy import (
    AssumeNegative,
    BinaryCrossentropy,
    binary_crossentropy,
)
from keras_patchpu.losses.entropy_maximization import (
    EntropyMaximization,
    EntropyMaximizationWithPseudoLabels,
    entropy_maximization,
    entropy_maximization_with_pseudo_labels,
)
from keras_patchpu.losses.expected_negatives import (
    ConsistentExpectedNegative,
    ExpectedNegative,
    ExpectedPositive,
    consistency,
    expected_negative,
    expected_positive,
)
from keras_patchpu.losses.expected_positives import (
    ExpectedPositiveRegularization,
    expected_positive_regularization,
)
from keras_patchpu.losses.focal import Asymmetric, Focal, asymmetric, focal
from keras_patchpu.losses.generalized_robust import GeneralizedRobust, generalized_robust
from keras_patchpu.losses.large_loss import (
    LargeLossPermanentCorrection,
    LargeLossRejection,
    LargeLossTemporaryCorrection,
    large_loss_correction,
    large_loss_rejection,
)
from keras_patchpu.losses.multi_label_loss import MultiLabelLoss
from keras_patchpu.losses.online_label_estimation import (
    OnlineLabelEstimation,
    online_label_estimation,
)
from keras_patchpu.losses.softened_assume_negative import (
    SmoothedAssumeNegative,
    WeightedAssumeNegative,
    smoothed_assume_negative,
    weighted_assume_negative,
)
from keras_patchpu.losses.spatial_consistency import (
    SpatiallyConsistentExpectedNegative,
    attention_score_maps,
    spatial_consistency,
)
from keras_patchpu.losses.weak_negative import WeakNegative, weak_negative, weak_negatives

LOSSES = {
    "bce": BinaryCrossentropy,
    "wn": WeakNegative,
    "an": AssumeNegative,
    "wan": WeightedAssumeNegative,
    "an_ls": SmoothedAssumeNegative,
    "epr": ExpectedPositiveRegularization,
    "role": OnlineLabelEstimation,
    "en": ExpectedNegative,
    "ep": ExpectedPositive,
    "en+cl": ConsistentExpectedNegative,
    "en+scl": SpatiallyConsistentExpectedNegative,
    "ll_r": LargeLossRejection,
    "ll_ct": LargeLossTemporaryCorrection,
    "ll_cp": LargeLossPermanentCorrection,
    "em": EntropyMaximization,
    "em+apl": EntropyMaximizationWithPseudoLabels,
    "gr": GeneralizedRobust,
    "focal": Focal,
    "asl": Asymmetric,
}


def arguments_of(name: str) -> set[str]:
    """The names of the arguments of a loss's class, such as `expected_positives`.

    Args:
        name: a key of `LOSSES`.
    """
    return set(inspect.signature(LOSSES[name]).parameters)


def get(name: str, **options) -> MultiLabelLoss:
    """The loss of that name, such as `get("wn", theta=0.1)`.

    Args:
        name: a key of `LOSSES`.
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
    "Asymmetric",
    "BinaryCrossentropy",
    "ConsistentExpectedNegative",
    "EntropyMaximization",
    "EntropyMaximizationWithPseudoLabels",
    "ExpectedNegative",
    "ExpectedPositive",
    "ExpectedPositiveRegularization",
    "Focal",
    "GeneralizedRobust",
    "LargeLossPermanentCorrection",
    "LargeLossRejection",
    "LargeLossTemporaryCorrection",
    "MultiLabelLoss",
    "OnlineLabelEstimation",
    "SmoothedAssumeNegative",
    "SpatiallyConsistentExpectedNegative",
    "WeakNegative",
    "WeightedAssumeNegative",
    "arguments_of",
    "asymmetric",
    "attention_score_maps",
    "binary_crossentropy",
    "consistency",
    "entropy_maximization",
    "entropy_maximization_with_pseudo_labels",
    "expected_negative",
    "expected_positive",
    "expected_positive_regularization",
    "focal",
    "generalized_robust",
    "get",
    "large_loss_correction",
    "large_loss_rejection",
    "online_label_estimation",
    "smoothed_assume_negative",
    "spatial_consistency",
    "weak_negative",
    "weak_negatives",
    "weighted_assume_negative",
]

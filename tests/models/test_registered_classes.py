"""Every class of the package that Keras can load."""

import copy
import inspect

import keras
import pytest

import keras_patchpu
from keras_patchpu import layers, losses, metrics, models
from keras_patchpu.losses.entropy_maximization import PseudoLabels
from keras_patchpu.losses.generalized_robust import RobustSchedule
from keras_patchpu.losses.large_loss import LargeLossState
from keras_patchpu.losses.online_label_estimation import LabelEstimator
from keras_patchpu.losses.running_maps import RunningMaps
from keras_patchpu.losses.running_scores import RunningScores
from keras_patchpu.models.label_query_layers import AddPositions, GroupWiseLinear, LabelQueries
from keras_patchpu.models.scaled_learning_rate import ScaledSchedule

SCORES = {"num_examples": 5, "num_labels": 3, "expected_positives": 1.4, "mu": 0.7}
# With arguments that are not the defaults, where the choice is free.
ARGUMENTS = {
    keras_patchpu.PatchClassifier: {
        "num_labels": 3,
        "image_size": 64,
        "patch_size": 32,
        "num_levels": 2,
        "embedding_dim": 8,
        "patches_per_level": (2, 1),
        "seed": 4,
        "dtype": "mixed_bfloat16",
        "name": "classifier",
    },
    layers.BatchNormalization: {"momentum": 0.9, "epsilon": 0.01},
    layers.CodebookAttention: {"num_labels": 3},
    layers.LabelClassifier: {"num_labels": 3, "dtype": "float32"},
    layers.MBConvBlock: {
        "filters": 8,
        "kernel_size": 5,
        "strides": 2,
        "expand_ratio": 4,
        "squeeze_ratio": 0.5,
    },
    layers.PatchEmbedder: {"embedding_dim": 8, "dtype": "mixed_bfloat16"},
    layers.PatchPyramid: {
        "patch_size": 32,
        "num_levels": 2,
        "patches_per_level": (2, 1),
        "seed": 3,
    },
    layers.TimeDistributed: {"layer": keras.layers.Dense(3)},
    models.Query2Label: {
        "num_labels": 3,
        "image_size": 64,
        "hidden_dim": 16,
        "num_heads": 2,
        "feedforward_dim": 8,
        "num_encoder_layers": 0,
        "num_decoder_layers": 1,
        "dropout": 0.2,
    },
    models.ResNet50Classifier: {"num_labels": 3, "image_size": 64, "dtype": "mixed_bfloat16"},
    AddPositions: {"rows": 2, "columns": 3},
    GroupWiseLinear: {"name": "linear"},
    LabelQueries: {"num_labels": 3, "name": "queries"},
    losses.AssumeNegative: {"name": "negative"},
    losses.Asymmetric: {"gamma_negative": 2.0, "gamma_positive": 1.0, "clip": 0.1},
    losses.ConsistentExpectedNegative: {**SCORES, "gamma": 2.0},
    losses.EntropyMaximization: {"alpha": 0.1},
    losses.EntropyMaximizationWithPseudoLabels: {
        "num_examples": 5,
        "num_labels": 3,
        "alpha": 0.1,
        "beta": 0.9,
        "warmup_epochs": 4,
    },
    losses.ExpectedNegative: SCORES,
    losses.ExpectedPositive: SCORES,
    losses.Focal: {"gamma": 1.5, "alpha": 0.5},
    losses.GeneralizedRobust: {
        "w": (0.0, 10.0),
        "b": (-2.0, -8.0),
        "mu": (0.4, 0.7),
        "sigma": (1.0, 0.5),
        "q2": 0.1,
        "q3": 1.5,
    },
    losses.LargeLossPermanentCorrection: {"num_examples": 5, "num_labels": 3, "delta_rel": 0.2},
    losses.LargeLossRejection: {"delta_rel": 0.4},
    losses.LargeLossTemporaryCorrection: {"delta_rel": 0.4},
    losses.SmoothedAssumeNegative: {"label_smoothing": 0.2},
    losses.SpatiallyConsistentExpectedNegative: {
        **SCORES,
        "gamma": 2.0,
        "map_size": 4,
        "grid": (2, 2),
    },
    losses.WeightedAssumeNegative: {"name": "weighted"},
    LargeLossState: {"num_examples": 5, "num_labels": 3, "name": "flips"},
    PseudoLabels: {"num_examples": 5, "num_labels": 3, "name": "pseudo"},
    RobustSchedule: {"start": (0.0, -2.0, 0.5, 2.0), "name": "schedule"},
    RunningMaps: {**SCORES, "map_size": 4, "name": "maps"},
    RunningScores: {**SCORES, "name": "scores"},
    losses.BinaryCrossentropy: {"reduction": "sum"},
    losses.ExpectedPositiveRegularization: {"expected_positives": 1.38},
    losses.OnlineLabelEstimation: {
        "num_examples": 5,
        "num_labels": 3,
        "expected_positives": 1.38,
        "seed": 2,
        "name": "estimation",
    },
    losses.WeakNegative: {"theta": 0.3, "stop_gradient": False},
    LabelEstimator: {"num_examples": 5, "num_labels": 3, "seed": 2, "name": "estimator"},
    metrics.MeanAveragePrecision: {"empty": "skip", "max_examples": 8, "name": "map"},
    ScaledSchedule: {
        "schedule": keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5),
        "factor": 10.0,
    },
}
# Start values of the estimator, which are in the weights afterwards.
NOT_IN_THE_CONFIG = {"observed"}

each_class = pytest.mark.parametrize("cls", ARGUMENTS, ids=lambda cls: cls.__name__)


def registered_classes():
    return {
        registered
        for name, registered in keras.saving.get_custom_objects().items()
        if name.startswith("keras_patchpu>")
    }


def init_arguments(cls):
    return {
        name
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def test_table_holds_every_registered_class():
    assert set(ARGUMENTS) == registered_classes()


@each_class
def test_config_holds_every_argument(cls):
    config = cls(**ARGUMENTS[cls]).get_config()
    missing = init_arguments(cls) - set(config) - NOT_IN_THE_CONFIG
    assert not missing, f"{cls.__name__}.get_config() lacks {missing}"


@each_class
def test_config_holds_the_values(cls):
    config = cls(**ARGUMENTS[cls]).get_config()
    for name, value in ARGUMENTS[cls].items():
        if isinstance(value, str | int | float | bool | tuple) and name != "dtype":
            assert config[name] == value


@each_class
def test_serialization_round_trip(cls):
    instance = cls(**ARGUMENTS[cls])
    config = keras.saving.serialize_keras_object(instance)
    assert config["registered_name"] == f"keras_patchpu>{cls.__name__}"
    clone = keras.saving.deserialize_keras_object(copy.deepcopy(config))  # Keras takes it apart
    assert type(clone) is cls
    assert keras.saving.serialize_keras_object(clone) == config

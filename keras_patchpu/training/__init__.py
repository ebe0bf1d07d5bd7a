"""Training runs: recipes, run directories and evaluation."""

from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.compiled_model import make_model
from keras_patchpu.training.evaluation import Evaluation, evaluate
from keras_patchpu.training.localization_evaluation import (
    LocalizationEvaluation,
    boxed_labels,
    evaluate_localization,
)
from keras_patchpu.training.recipe import RECIPES, Recipe, make_optimizer
from keras_patchpu.training.run import Run, read_config
from keras_patchpu.training.run_directory import RunDirectory, load_model
from keras_patchpu.training.thresholds import (
    THRESHOLDS_FILE,
    VALIDATION,
    Thresholds,
    calibrate,
)
from keras_patchpu.training.trainer import load_or_check, train

__all__ = [
    "RECIPES",
    "THRESHOLDS_FILE",
    "VALIDATION",
    "Agreement",
    "Evaluation",
    "LocalizationEvaluation",
    "Recipe",
    "Run",
    "RunDirectory",
    "Thresholds",
    "boxed_labels",
    "calibrate",
    "evaluate",
    "evaluate_localization",
    "load_model",
    "load_or_check",
    "make_model",
    "make_optimizer",
    "read_config",
    "train",
]

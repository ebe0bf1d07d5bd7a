"""Training runs: recipes, run directories and evaluation."""

from keras_patchpu.training.abort import libraries_silent_for_good
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.checkpoints import Checkpoints
from keras_patchpu.training.compiled_model import make_model
from keras_patchpu.training.determinism import enable_determinism
from keras_patchpu.training.evaluation import Evaluation, evaluate
from keras_patchpu.training.finished_epoch import FinishedEpoch
from keras_patchpu.training.folder_run import folder_run
from keras_patchpu.training.localization_evaluation import (
    LocalizationEvaluation,
    boxed_labels,
    evaluate_localization,
)
from keras_patchpu.training.loss_options import check_loss_options, options_of
from keras_patchpu.training.mirrored import mirrored_strategy
from keras_patchpu.training.recipe import RECIPES, Recipe, make_optimizer
from keras_patchpu.training.run import Run, check_labels, load_trained, read_config
from keras_patchpu.training.run_directory import RunDirectory, load_model
from keras_patchpu.training.several_hosts import HostLost, Hosts
from keras_patchpu.training.shared_batches import make_shared_model
from keras_patchpu.training.sole_use import sole_use
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
    "Checkpoints",
    "Evaluation",
    "FinishedEpoch",
    "HostLost",
    "Hosts",
    "LocalizationEvaluation",
    "Recipe",
    "Run",
    "RunDirectory",
    "Thresholds",
    "boxed_labels",
    "calibrate",
    "check_labels",
    "check_loss_options",
    "enable_determinism",
    "evaluate",
    "evaluate_localization",
    "folder_run",
    "libraries_silent_for_good",
    "load_model",
    "load_or_check",
    "load_trained",
    "make_model",
    "make_optimizer",
    "make_shared_model",
    "mirrored_strategy",
    "options_of",
    "read_config",
    "sole_use",
    "train",
]

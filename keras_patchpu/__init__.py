"""Multi-label classification from single positive annotations, in Keras 3."""

import importlib

from keras_patchpu import layers, losses, metrics, models
from keras_patchpu.models import PatchClassifier

__version__ = "0.1.0"

__all__ = [
    "PatchClassifier",
    "comparison",
    "data",
    "inspection",
    "layers",
    "localization",
    "losses",
    "metrics",
    "models",
    "reporting",
    "serving",
    "training",
]


def __getattr__(name: str):
    # These need TensorFlow, which is not imported under the other backends unless asked for.
    if name in (
        "comparison",
        "data",
        "inspection",
        "localization",
        "reporting",
        "serving",
        "training",
    ):
        return importlib.import_module(f"keras_patchpu.{name}")
    raise AttributeError(f"module 'keras_patchpu' has no attribute {name!r}")

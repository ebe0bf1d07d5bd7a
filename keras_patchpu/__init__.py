"""Multi-label classification from single positive annotations, in Keras 3."""

from keras_patchpu import layers, losses, metrics, models
from keras_patchpu.models import PatchClassifier

__version__ = "0.1.0"

__all__ = ["PatchClassifier", "layers", "losses", "metrics", "models"]

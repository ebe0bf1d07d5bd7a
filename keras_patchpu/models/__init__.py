"""The models."""

from keras_patchpu.models.patch_classifier import PatchClassifier

__all__ = ["PatchClassifier"]

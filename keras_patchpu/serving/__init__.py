"""Exporting a model for TF Serving."""

from keras_patchpu.serving.export import export, next_version

__all__ = ["export", "next_version"]

"""Exporting a model for TF Serving."""

from keras_patchpu.serving.export import export

__all__ = ["export"]

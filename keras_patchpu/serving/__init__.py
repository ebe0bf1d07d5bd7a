"""Exporting a model for TF Serving, and asking it there or here."""

from keras_patchpu.serving.answer import Answer
from keras_patchpu.serving.client import Client
from keras_patchpu.serving.export import export, next_version
from keras_patchpu.serving.local_model import LocalModel, find_version
from keras_patchpu.serving.prediction_parts import PredictionParts
from keras_patchpu.serving.server_files import how_to_serve

__all__ = [
    "Answer",
    "Client",
    "LocalModel",
    "PredictionParts",
    "export",
    "find_version",
    "how_to_serve",
    "next_version",
]

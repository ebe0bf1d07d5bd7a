"""Exporting a model for TF Serving."""

from keras_patchpu.serving.client import Answer, Client
from keras_patchpu.serving.export import export, next_version
from keras_patchpu.serving.server_files import how_to_serve

__all__ = ["Answer", "Client", "export", "how_to_serve", "next_version"]

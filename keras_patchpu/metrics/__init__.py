"""The metrics."""

from keras_patchpu.metrics.mean_average_precision import MeanAveragePrecision, average_precision

__all__ = ["MeanAveragePrecision", "average_precision"]

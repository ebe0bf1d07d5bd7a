"""The metrics."""

from keras_patchpu.metrics.mean_average_precision import MeanAveragePrecision, average_precision
from keras_patchpu.metrics.weak_negative_precision import weak_negative_report

__all__ = ["MeanAveragePrecision", "average_precision", "weak_negative_report"]

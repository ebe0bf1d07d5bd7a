"""The metrics."""

from keras_patchpu.metrics.decisions import decision_metrics
from keras_patchpu.metrics.mean_average_precision import MeanAveragePrecision, average_precision
from keras_patchpu.metrics.pointing_game import PairScores, score_pair
from keras_patchpu.metrics.thresholds import calibrate_thresholds
from keras_patchpu.metrics.weak_negative_precision import weak_negative_report

__all__ = [
    "MeanAveragePrecision",
    "PairScores",
    "average_precision",
    "calibrate_thresholds",
    "decision_metrics",
    "score_pair",
    "weak_negative_report",
]

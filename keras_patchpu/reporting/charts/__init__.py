"""The drawings of the reports."""

from keras_patchpu.reporting.charts.bars import draw_average_precisions
from keras_patchpu.reporting.charts.curves import Curve, draw_by_epoch, draw_curves
from keras_patchpu.reporting.charts.dots import DotRow, draw_costs, draw_dots
from keras_patchpu.reporting.charts.drawing import Chart, draw, shown_name
from keras_patchpu.reporting.charts.heat_map import draw_shares
from keras_patchpu.reporting.charts.scores import draw_reliability, draw_score_groups
from keras_patchpu.reporting.charts.weak_negatives import draw_tenths

__all__ = [
    "Chart",
    "Curve",
    "DotRow",
    "draw",
    "draw_average_precisions",
    "draw_by_epoch",
    "draw_costs",
    "draw_curves",
    "draw_dots",
    "draw_reliability",
    "draw_score_groups",
    "draw_shares",
    "draw_tenths",
    "shown_name",
]

"""Reports of runs and comparisons: pages of one file, to be read."""

from keras_patchpu.reporting.comparison_facts import GRID, write_grid
from keras_patchpu.reporting.comparison_report import write_comparison_report
from keras_patchpu.reporting.page import FILE
from keras_patchpu.reporting.run_facts import TrainingLabels
from keras_patchpu.reporting.run_report import write_run_report

__all__ = [
    "FILE",
    "GRID",
    "TrainingLabels",
    "write_comparison_report",
    "write_grid",
    "write_run_report",
]

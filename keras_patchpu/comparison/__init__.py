"""Losses and models compared: a grid of runs, their table and their plot."""

from keras_patchpu.comparison.cells import Cell, read_grid
from keras_patchpu.comparison.jobs import Job, find_devices, noted_signals, run_jobs
from keras_patchpu.comparison.plot import draw_plot
from keras_patchpu.comparison.progress import StatusLine, seconds_left
from keras_patchpu.comparison.results import Result, group_by_loss, read_result
from keras_patchpu.comparison.table import write_csv, write_markdown

__all__ = [
    "Cell",
    "Job",
    "Result",
    "StatusLine",
    "draw_plot",
    "find_devices",
    "group_by_loss",
    "noted_signals",
    "read_grid",
    "read_result",
    "run_jobs",
    "seconds_left",
    "write_csv",
    "write_markdown",
]

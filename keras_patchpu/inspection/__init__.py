"""What is in a data set and what is wrong with it, before anything is trained on it."""

from keras_patchpu.inspection.report import inspect_splits
from keras_patchpu.inspection.report_text import inspection_as_text
from keras_patchpu.inspection.sample_sheet import draw_sample_sheet, save_sheet

__all__ = ["draw_sample_sheet", "inspect_splits", "inspection_as_text", "save_sheet"]

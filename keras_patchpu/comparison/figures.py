"""The test mAPs by which runs are compared: three rules of which epoch's model to keep."""

import dataclasses
from collections.abc import Callable, Sequence

from keras_patchpu.comparison.results import Result, Row


@dataclasses.dataclass(frozen=True)
class Figure:
    """A test mAP of a run.

    Attributes:
        column: its name in the CSV.
        title: its name in Markdown.
        of: takes it from a run.
    """

    column: str
    title: str
    of: Callable[[Result], float]


RULES = (
    Figure("last", "last epoch", lambda result: result.last),
    Figure("clean", "best by validation, all labels", lambda result: result.clean),
    Figure("observed", "best by validation, observed labels", lambda result: result.observed),
)


def frequent_figure(rows: Sequence[Row]) -> Figure | None:
    """mAP of the last epoch over the labels with enough test images, if that leaves any out."""
    result = next((result for row in rows for result in row.results), None)
    if result is None or result.frequent is None:
        return None
    num_labels = len(result.config["label_names"])
    if result.num_frequent == num_labels:
        return None
    title = (
        f"last epoch, {result.num_frequent} of {num_labels} labels "
        f"({result.frequent_means_at_least} test images or more)"
    )
    return Figure("last_frequent", title, lambda result: result.frequent)

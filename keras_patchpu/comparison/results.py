"""What a finished run has reached, under three rules of which epoch's model to keep."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from keras_patchpu.comparison.cells import Cell
from keras_patchpu.errors import InputError
from keras_patchpu.losses import LOSSES
from keras_patchpu.training import RunDirectory


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        cell: which run it is.
        config: its `config.json`.
        last: test mAP after the last epoch, in percent, as are the next three.
        clean: that of the epoch that is best on the validation images by their full truth.
        observed: that of the epoch that is best by their observed labels alone.
        frequent: that of the last epoch over the labels with enough test images, None where none
            has.
        num_frequent: how many labels have.
        frequent_means_at_least: how many images are enough.
        epochs: passes over the training images.
        seconds: of all epochs.
        images_per_second: of each epoch.
        peak_memory_gb: memory of the process.
    """

    cell: Cell
    config: dict
    last: float
    clean: float
    observed: float
    frequent: float | None
    num_frequent: int
    frequent_means_at_least: int
    epochs: int
    seconds: float
    images_per_second: list[float]
    peak_memory_gb: float

    @property
    def images_seen(self) -> int:
        """Training images times epochs."""
        return self.epochs * self.config["num_train"]


def read_result(cell: Cell, directory: RunDirectory) -> Result:
    """Reads the directory of a finished run.

    Raises:
        InputError: a file is not there, or not one of such a run.
    """
    config, metrics = directory.read_json("config.json"), directory.read_json("metrics.json")
    try:
        history = {
            name: [float(row[name]) for row in directory.read_history()]
            for name in (
                "test_map",
                "validation_map",
                "validation_observed_map",
                "images_per_second",
                "seconds",
            )
        }
        test = history["test_map"]
        at_least = metrics["frequent_means_at_least"]
        frequent = metrics["mean_average_precision_frequent"]
        return Result(
            cell=cell,
            config=config,
            last=test[-1],
            # The earliest of equally good epochs.
            clean=test[int(np.argmax(history["validation_map"]))],
            observed=test[int(np.argmax(history["validation_observed_map"]))],
            frequent=None if frequent is None else float(frequent),
            num_frequent=sum(
                label["positives"] >= at_least for label in metrics["labels"].values()
            ),
            frequent_means_at_least=at_least,
            epochs=len(test),
            seconds=sum(history["seconds"]),
            images_per_second=history["images_per_second"],
            peak_memory_gb=float(metrics["peak_memory_gb"]),
        )
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(
            f"{directory.path} has a history.csv or metrics.json that is none of a finished run "
            f"with held-out images ({error}): delete the directory to run it anew"
        ) from error


@dataclasses.dataclass(frozen=True)
class Row:
    """The finished runs of a loss on a model, one a seed; there may be none yet."""

    model: str
    loss: str
    results: list[Result]

    @property
    def sees(self) -> str:
        """Which labels the loss sees."""
        return "all labels" if LOSSES[self.loss].supervised else "one positive"

    def values(self, figure: Callable[[Result], float]) -> list[float]:
        """A figure of each run."""
        return [figure(result) for result in self.results]


def group_by_loss(cells: Sequence[Cell], results: Sequence[Result]) -> list[Row]:
    """A row for each model and loss of the grid, in its order, those of a model together."""
    models = list(dict.fromkeys(cell.model for cell in cells))
    pairs = dict.fromkeys((cell.model, cell.loss) for cell in cells)
    return [
        Row(
            model,
            loss,
            [
                result
                for result in results
                if (result.cell.model, result.cell.loss) == (model, loss)
            ],
        )
        for model, loss in sorted(pairs, key=lambda pair: models.index(pair[0]))
    ]


def mean_and_deviation(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean, and standard deviation of the sample (`ddof=1`); None where there are too few."""
    return (
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )

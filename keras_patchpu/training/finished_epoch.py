"""What is said of an epoch that has ended."""

import dataclasses
import math

import tqdm

from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.evaluation import Evaluation

# A loss of a diverging run, images a second and hours from here on are not written out.
_LARGE = 1e5


@dataclasses.dataclass(frozen=True)
class FinishedEpoch:
    """An epoch whose checkpoint is written.

    Attributes:
        row: of `history.csv`, numbers as text.
        epochs: of the whole run.
        evaluation: of the test images.
        seconds_left: to the end of the last epoch.
    """

    row: dict[str, str | int]
    epochs: int
    evaluation: Evaluation | Agreement
    seconds_left: float

    def as_line(self) -> str:
        """A line to read, of at most 100 columns up to a million epochs."""
        loss, speed = float(self.row["loss"]), float(self.row["images_per_second"])
        return (
            f"epoch {self.row['epoch']:3d}/{self.epochs}  loss {_short(loss, 3):>7}  "
            f"{self.evaluation.title} {self.evaluation.headline:5.1f}  "
            f"{_short(speed, 1):>6} images/s  {_interval(self.seconds_left)} left"
        )

    def as_dict(self) -> dict[str, float | int | None]:
        """JSON values: the row with its numbers as such, `epochs` and `seconds_left`.

        None for what is not a finite number, which JSON has not.
        """
        figures = {name: float(text) for name, text in self.row.items()}
        figures["seconds_left"] = round(self.seconds_left, 1)
        finite = {name: x if math.isfinite(x) else None for name, x in figures.items()}
        return {**finite, "epoch": int(self.row["epoch"]), "epochs": self.epochs}


def print_line(epoch: FinishedEpoch) -> None:
    """Prints the line of an epoch at once, also into a file or a pipe."""
    print(epoch.as_line(), flush=True)


def _short(number, decimals):
    return f"{number:.{decimals}f}" if abs(number) < _LARGE else f"{number:.3e}"


def _interval(seconds):
    return tqdm.tqdm.format_interval(seconds) if seconds < _LARGE * 3600 else f"{seconds:.3e} s"

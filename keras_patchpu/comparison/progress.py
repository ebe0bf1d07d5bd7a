"""How far the grid is: the time left, and a line on the terminal that changes."""

import shutil
import statistics
import sys
import time
from collections.abc import Sequence

from keras_patchpu.comparison.jobs import Job


def seconds_left(jobs: Sequence[Job], num_devices: int) -> float | None:
    """The time to the end of a grid by the mean epoch of each model so far, None if there is none.

    Args:
        jobs: all of the grid, done or not.
        num_devices: that share the work.
    """
    seconds_an_epoch: dict[str, list[float]] = {}
    epochs_left: dict[str, int] = {}
    for job in jobs:
        rows = job.directory.read_history()
        model = job.cell.model
        seconds_an_epoch.setdefault(model, []).extend(float(row["seconds"]) for row in rows)
        if not job.is_done:
            epochs_left[model] = epochs_left.get(model, 0) + max(0, job.epochs - len(rows))
    every = [seconds for values in seconds_an_epoch.values() for seconds in values]
    if not every:
        return None
    total = sum(
        number * statistics.fmean(seconds_an_epoch[model] or every)
        for model, number in epochs_left.items()
    )
    return total / num_devices


class StatusLine:
    """A line on standard error that is written over, if that is a terminal."""

    def __init__(self, seconds: float = 1.0):
        self.is_shown = sys.stderr.isatty()
        self.seconds = seconds
        self.shown_at = -seconds

    @property
    def is_due(self) -> bool:
        """Whether it is time to show another."""
        return self.is_shown and time.monotonic() - self.shown_at >= self.seconds

    def show(self, text: str) -> None:
        """Shows a line, cut to the width of the terminal."""
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]}\x1b[K", end="", file=sys.stderr, flush=True)
        self.shown_at = time.monotonic()

    def clear(self) -> None:
        """Takes it away, for other lines to be printed."""
        if self.is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

"""The checkpoints of a run: the last two, of which each is whole or not there."""

import pathlib
import re
import sys
from typing import NamedTuple

import keras

from keras_patchpu.errors import InputError
from keras_patchpu.training.run_directory import RunDirectory, load_model, save_model

_NAME = re.compile(r"epoch-(\d+)(?:-batch-(\d+))?\.keras")
_KEPT = 2


class Position(NamedTuple):
    """How far a run is; a later one is greater.

    Attributes:
        epochs: that are done.
        batches: of the epoch after these that are done, all of them where it is not measured yet.
    """

    epochs: int = 0
    batches: int = 0


class EpochSoFar(NamedTuple):
    """What the batches that are done add to the figures of their epoch.

    Attributes:
        loss_sum: over the images.
        num_images: whose loss is in it.
        seconds: that they took.
    """

    loss_sum: float = 0.0
    num_images: float = 0.0
    seconds: float = 0.0


class Checkpoints:
    """Files in `checkpoints/` of a run's directory, named by their `Position`.

    Each is a `.keras` file with weights, optimizer and the state of the loss. That of a run that
    was stopped within an epoch has its `EpochSoFar` in a `.json` file beside it.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: RunDirectory):
        self.directory = directory
        self.folder = directory.path / "checkpoints"

    def positions(self) -> list[Position]:
        """Of all that are there, the last first."""
        matches = (_NAME.fullmatch(path.name) for path in self.folder.glob("*.keras"))
        found = [Position(int(match[1]), int(match[2] or 0)) for match in matches if match]
        return sorted(found, reverse=True)

    def path(self, position: Position) -> pathlib.Path:
        """Where the model of that position is."""
        batch = f"-batch-{position.batches:06d}" if position.batches else ""
        return self.folder / f"epoch-{position.epochs:04d}{batch}.keras"

    def save(
        self, model: keras.Model, position: Position, so_far: EpochSoFar | None = None
    ) -> None:
        """Saves the model, then takes away all but the last two.

        Args:
            model: as it is at that position.
            position: of the run.
            so_far: where that is within an epoch.

        Raises:
            InputError: it cannot be written, as on a full disk; those before are still there.
        """
        self.folder.mkdir(exist_ok=True)
        path = self.path(position)
        if so_far is not None:
            self.directory.write_json(self._json(position), so_far._asdict())
        save_model(model, path)
        # One that is later and damaged is not in the way of the next one.
        kept = [other for other in self.positions() if other <= position][:_KEPT]
        names = {self.path(other).stem for other in kept}
        for file in self.folder.glob("epoch-*"):
            if file.stem not in names:
                file.unlink()

    def load(self) -> tuple[Position, EpochSoFar, keras.Model | None]:
        """The last one that is whole; without any the start, and None.

        A damaged one is told of on standard error.

        Raises:
            InputError: those that are there are all damaged.
        """
        damaged = []
        for position in self.positions():
            try:
                model, so_far = load_model(self.path(position)), self._so_far(position)
            except InputError as error:
                damaged.append(error)
                continue
            for error in damaged:
                print(f"going on from {self.path(position).name}: {error}", file=sys.stderr)
            return position, so_far, model
        if damaged:
            raise damaged[0]
        return Position(), EpochSoFar(), None

    def _json(self, position):
        return f"checkpoints/{self.path(position).stem}.json"

    def _so_far(self, position):
        if not position.batches:
            return EpochSoFar()
        content = self.directory.read_json(self._json(position))
        try:
            return EpochSoFar(**{name: float(content[name]) for name in EpochSoFar._fields})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.directory.path / self._json(position)} is damaged ({error}): delete "
                f"{self.path(position).name} and go on with --resume"
            ) from error

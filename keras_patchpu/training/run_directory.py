"""The directory that a training run writes, safe to be killed at any moment."""

import csv
import json
import os
import pathlib
import re
import zipfile

import keras

from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import UNFINISHED, replaced_whole

_ADVICE = "see to the disk, then go on with --resume"


class RunDirectory:
    """`config.json`, `history.csv`, checkpoints and, at the end, `metrics.json` and `model.keras`.

    A checkpoint is one file, named by the number of finished epochs, with weights, optimizer and
    the state of the loss. `history.csv` is written before it, so it may be one epoch ahead, never
    behind; `read_history` is told where to stop.

    Args:
        path: of the directory.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def check(self, config: dict, resume: bool) -> None:
        """Checks that a run can start here, or go on; writes nothing.

        Args:
            config: what decides the run, JSON values by name.
            resume: go on with the run that is here.

        Raises:
            InputError: the directory exists and `resume` is false, it holds something else than a
                run, or the run was started with another configuration.
        """
        if resume and (self.path / "config.json").exists():
            self._check_same(config)
        elif self.path.exists() and not self._is_empty():
            raise InputError(
                f"{self.path} holds no run to resume (no config.json): give another --out"
                if resume
                else f"{self.path} exists: go on with it by --resume, or give another --out"
            )

    def _is_empty(self):
        if not self.path.is_dir():
            return False
        # A run that was killed while it wrote its first file has not begun.
        return all(file.name.startswith(UNFINISHED) for file in self.path.iterdir())

    def start(self, config: dict) -> None:
        """Makes the directory, with the configuration in it.

        Raises:
            InputError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be made ({error.strerror}): give another --out"
            ) from error
        self.write_json("config.json", config)

    def _check_same(self, config):
        before = self.read_json("config.json")
        for name in before | config:
            if before.get(name) != config.get(name):
                raise InputError(
                    f"{self.path} was started with {name} {before.get(name)}, not "
                    f"{config.get(name)}: resume it with the same options, or give another --out"
                )

    def read_json(self, name: str) -> dict:
        """The content of a JSON file of the run.

        Raises:
            InputError: if it is not there or damaged.
        """
        try:
            content = json.loads((self.path / name).read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no object")
        except FileNotFoundError:
            raise InputError(
                f"{self.path} is not the directory of a training run: it has no {name}"
            ) from None
        except ValueError as error:
            raise InputError(
                f"{self.path / name} is damaged ({error}): restore it, or start anew elsewhere"
            ) from None
        return content

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file of the run."""
        with replaced_whole(self.path / name, _ADVICE) as path:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def read_history(self, num_epochs: int | None = None) -> list[dict]:
        """The rows of the first `num_epochs` epochs, or of all."""
        path = self.path / "history.csv"
        if not path.exists():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return rows[:num_epochs]

    def write_history(self, rows: list[dict]) -> None:
        """Writes all rows."""
        with replaced_whole(self.path / "history.csv", _ADVICE) as path:
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
                writer.writeheader()
                writer.writerows(rows)

    @property
    def model_path(self) -> pathlib.Path:
        """Where the trained model is."""
        return self.path / "model.keras"

    def last_checkpoint(self) -> tuple[int, pathlib.Path | None]:
        """The number of finished epochs and the file that holds them; `(0, None)` at the start."""
        finished = {
            int(match[1]): path
            for path in (self.path / "checkpoints").glob("*.keras")
            if (match := re.fullmatch(r"epoch-(\d+)\.keras", path.name))
        }
        return max(finished.items(), default=(0, None))

    def save_checkpoint(self, model: keras.Model, num_epochs: int) -> None:
        """Saves the model after `num_epochs` epochs, then takes away the checkpoint before."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        path = folder / f"epoch-{num_epochs:04d}.keras"
        save_model(model, path)
        for other in folder.glob("epoch-*.keras"):
            if other != path:
                other.unlink()


def save_model(model: keras.Model, path: pathlib.Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    with replaced_whole(path, _ADVICE) as unfinished:
        model.save(unfinished)


def load_model(path: pathlib.Path) -> keras.Model:
    """Loads a `.keras` file.

    Raises:
        InputError: if it is not there or cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path} is not there: has the run ended? --resume goes on with it")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("cut off, or no .keras file")
        return keras.models.load_model(path)
    except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path} cannot be loaded as a model ({reason}): delete it and go on with --resume"
        ) from error

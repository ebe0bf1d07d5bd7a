"""The directory that a training run writes, safe to be killed at any moment."""

import contextlib
import csv
import json
import os
import pathlib
import zipfile
from collections.abc import Iterable, Iterator

import keras
from keras.src.backend.common import global_state
from keras.src.saving import saving_lib

from keras_patchpu.data.bounded_read import read_at_most
from keras_patchpu.errors import InputError
from keras_patchpu.training.model_file import check_model_file
from keras_patchpu.training.sole_use import LOCK, sole_use
from keras_patchpu.whole_file import UNFINISHED, replaced_whole

_ADVICE = "see to the disk, then go on with --resume"
_MOST_JSON_BYTES = 2**28


class RunDirectory:
    """`config.json`, `history.csv`, checkpoints and, at the end, `metrics.json` and `model.keras`.

    `history.csv` is written before the checkpoint, see `Checkpoints`, so it may be ahead of it,
    never behind; `read_history` is told where to stop.

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
            self.check_same(config, "resume it with the same options, or give another --out")
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
        return all(
            file.name == LOCK or file.name.startswith(UNFINISHED) for file in self.path.iterdir()
        )

    @contextlib.contextmanager
    def sole_use(self) -> Iterator[None]:
        """Makes the directory if it is not there, and keeps other processes from writing to it.

        Raises:
            InputError: another one does, or it cannot be made or written to.
        """
        self._make()
        with sole_use(self.path, "another process that trains"):
            yield

    def start(self, config: dict) -> None:
        """Makes the directory, with the configuration in it.

        Raises:
            InputError: it cannot be made or written to.
        """
        self._make()
        self.write_json("config.json", config)

    def _make(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be made ({error.strerror}): give another --out"
            ) from error

    def check_same(self, config: dict, advice: str) -> None:
        """Checks that the run that is here was started with this configuration.

        Raises:
            InputError: it was not; `advice` is what the user can do.
        """
        before = self.read_json("config.json")
        for name in before | config:
            if before.get(name) != config.get(name):
                raise InputError(
                    f"{self.path} was started with {name} {before.get(name)}, not "
                    f"{config.get(name)}: {advice}"
                )

    def read_json(self, name: str) -> dict:
        """The content of a JSON file of the run.

        Raises:
            InputError: if it is not there or damaged.
        """
        try:
            content = json.loads(read_at_most(self.path / name, _MOST_JSON_BYTES))
            if not isinstance(content, dict):
                raise ValueError("no object")
        except FileNotFoundError:
            raise InputError(
                f"{self.path} is not the directory of a training run: it has no {name}"
            ) from None
        except (RecursionError, ValueError) as error:
            raise InputError(
                f"{self.path / name} is damaged ({error}): restore it, or start anew elsewhere"
            ) from None
        return content

    def write_json(self, name: str, content: dict) -> None:
        """Writes a JSON file of the run."""
        self.write_lines(name, [json.dumps(content, indent=2) + "\n"])

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """Writes a text file of the run, whole or not at all; the lines have their ends."""
        with replaced_whole(self.path / name, _ADVICE) as path:
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(lines)

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


def save_model(model: keras.Model, path: pathlib.Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    _remember_what_optimizers_have()
    with replaced_whole(path, _ADVICE) as unfinished:
        model.save(unfinished)


def _remember_what_optimizers_have():
    """Keras 3.15 looks for this under another name than it keeps it by (`get_attr_skipset`).

    So it makes an optimizer at each save, whose variables have new names, and TensorFlow keeps
    30 kB of each name as long as it lives.
    """
    name = "saving_attr_skiplist_Optimizer"
    if global_state.get_global_attribute(name) is None:
        global_state.set_global_attribute(name, saving_lib.get_attr_skipset("Optimizer"))


def load_model(path: pathlib.Path) -> keras.Model:
    """Loads a `.keras` file of a run, whoever wrote it; see `check_model_file`.

    Raises:
        InputError: if it is not there or cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path} is not there: has the run ended? --resume goes on with it")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("cut off, or no .keras file")
        check_model_file(path)
        # Keras's default, on which it depends that no code in the file is run.
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # Keras stumbles over damaged files in any way
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(
            f"{path} cannot be loaded as a model ({reason}): delete it and go on with --resume"
        ) from error

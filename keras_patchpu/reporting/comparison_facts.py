"""What a report says of a comparison: the files of its runs."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

from keras_patchpu.comparison import Cell, Result, group_by_loss, read_result
from keras_patchpu.comparison.results import Row
from keras_patchpu.comparison.table import ADVICE
from keras_patchpu.errors import InputError
from keras_patchpu.losses import LOSSES
from keras_patchpu.models import MODELS
from keras_patchpu.reporting.run_files import check_has, read_history
from keras_patchpu.training import RunDirectory, read_config
from keras_patchpu.training.weak_negative_log import read_weak_negatives
from keras_patchpu.whole_file import replaced_whole

GRID = "comparison.json"


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """A run of the grid; all but the first two are empty until it has ended.

    Attributes:
        cell: which of the grid it is.
        directory: of the run.
        result: what it has reached.
        history: see `RunFacts`.
        precisions: average precision of each label in percent, by its name.
        positives: test images with each label.
        weak_negatives: see `RunFacts`.
    """

    cell: Cell
    directory: RunDirectory
    result: Result | None = None
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    precisions: dict[str, float] = dataclasses.field(default_factory=dict)
    positives: dict[str, int] = dataclasses.field(default_factory=dict)
    weak_negatives: list[dict] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class ComparisonFacts:
    """All that a report of a comparison is made of.

    Attributes:
        name: of its directory.
        command: that made it.
        runs: of the grid, ended or not.
    """

    name: str
    command: str
    runs: list[ComparedRun]

    @property
    def ended(self) -> list[ComparedRun]:
        """The runs that have ended."""
        return [run for run in self.runs if run.result is not None]

    @property
    def rows(self) -> list[Row]:
        """See `group_by_loss`."""
        results = [run.result for run in self.ended]
        return group_by_loss([run.cell for run in self.runs], results)


def write_grid(out: str | os.PathLike, cells: Sequence[Cell], command: str) -> None:
    """Writes `comparison.json`: which runs a comparison has, and the command that made it."""
    content = {"command": command, "runs": [dataclasses.asdict(cell) for cell in cells]}
    with replaced_whole(pathlib.Path(out) / GRID, ADVICE) as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def gather_comparison_facts(out: str | os.PathLike) -> ComparisonFacts:
    """Reads the runs of a comparison.

    Raises:
        InputError: a file is not there or damaged.
    """
    folder = RunDirectory(out)
    content = folder.read_json(GRID)
    try:
        cells = [Cell(run["model"], run["loss"], run["seed"]) for run in content["runs"]]
        command = str(content["command"])
        for cell in cells:  # of whose names the paths are made
            known = cell.model in MODELS and cell.loss in LOSSES and isinstance(cell.seed, int)
            if not known:
                raise ValueError(f"no run is called {cell.name}")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder.path / GRID} is damaged ({error}): the same recipes/compare.py again writes "
            "it anew"
        ) from error
    runs = [_read_run(cell, RunDirectory(folder.path / cell.name)) for cell in cells]
    facts = ComparisonFacts(folder.path.resolve().name, command, runs)
    if len({tuple(run.result.config["label_names"]) for run in facts.ended}) > 1:
        raise InputError(f"{folder.path} has runs of other labels: compare them elsewhere")
    return facts


def _read_run(cell, directory):
    if not (directory.path / "metrics.json").exists():
        return ComparedRun(cell, directory)
    recipe, config = read_config(directory)
    needed = ("num_train", "num_validation", "num_test", "draw")
    check_has(directory, "config.json", config, needed)
    result = read_result(cell, directory)
    result = dataclasses.replace(result, config={**dataclasses.asdict(recipe), **config})
    labels = directory.read_json("metrics.json")["labels"]
    try:
        if labels.keys() != set(config["label_names"]):
            raise ValueError("other labels than in config.json")
        precisions = {name: float(label["average_precision"]) for name, label in labels.items()}
        positives = {name: int(label["positives"]) for name, label in labels.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{directory.path / 'metrics.json'} is damaged ({error}): delete the directory to run "
            "it anew"
        ) from error
    return ComparedRun(
        cell,
        directory,
        result,
        read_history(directory),
        precisions,
        positives,
        read_weak_negatives(directory),
    )

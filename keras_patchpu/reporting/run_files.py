"""Files of a run that a report reads."""

import math
from collections.abc import Sequence

from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory


def check_has(
    directory: RunDirectory, name: str, content: dict, needed: Sequence[str], kind: type = object
) -> None:
    """Checks that a file has what a report needs of it, of this kind.

    Raises:
        InputError: it has not.
    """
    for key in needed:
        if key not in content:
            raise InputError(f"{directory.path / name} is not that of a finished run: no {key}")
        if not isinstance(content[key], kind):
            value = str(content[key])[:40]
            raise InputError(f"{directory.path / name} is damaged: its {key} is {value!r}")


def read_history(directory: RunDirectory) -> dict[str, list[float]]:
    """The columns of `history.csv`.

    Raises:
        InputError: it is not there, or damaged.
    """
    rows = directory.read_history()
    try:
        if not rows or not {"loss", "images_per_second", "seconds"} <= rows[0].keys():
            raise ValueError("no epoch, or a column is not there")
        columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
        if not all(math.isfinite(value) for column in columns.values() for value in column):
            raise ValueError("not all of its values are finite")
        return columns
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{directory.path / 'history.csv'} is damaged ({error}): restore it, or start anew "
            "elsewhere"
        ) from error

"""The JSON and the pictures in the folder of a data set, and what is wrong with them."""

import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_patchpu.data.voc_annotation import is_plain_name, read_text
from keras_patchpu.errors import InputError


def read_json(
    file: pathlib.Path, missing: str, object_hook: Callable[[dict], Any] | None = None
) -> Any:
    """The content of a JSON file.

    Args:
        file: the file, in UTF-8 with or without a byte order mark.
        missing: what to say of a file that is not there.
        object_hook: as for `json.loads`.

    Raises:
        InputError: it is missing, not text, cut off, or nested too deep.
    """
    try:
        return json.loads(read_text(file, missing), object_hook=object_hook)
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise InputError(
            f"{file}: not a whole JSON file ({error}): unpack or download it again"
        ) from error


def is_inside_name(name: str) -> bool:
    """Whether a path such as `actor/0001.jpg` stays in its folder."""
    return all(part and is_plain_name(part) for part in name.split("/"))


def list_pictures(folder: pathlib.Path, missing: str) -> set[str]:
    """The files in a folder and its subfolders, as paths from it such as `actor/0001.jpg`.

    Raises:
        InputError: there is no such folder (then it says `missing`), a link leads out of it or to
            itself, or a folder cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: {missing}")
    try:
        # Resolved, for the folder itself may be a link that the user made.
        return set(_walk(folder, folder.resolve(), ""))
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}: make it readable") from error
    except RuntimeError as error:
        # What pathlib raises for a link to itself, until Python 3.13.
        raise InputError(f"{folder}: {error}: take out this link") from error


def require_pictures(folder: pathlib.Path, names: Sequence[str], advice: str) -> None:
    """Checks that the folder has all of these pictures.

    Raises:
        InputError: says how many are missing, which is the first, and the advice.
    """
    there = list_pictures(folder, advice)
    absent = [name for name in names if name not in there]
    if absent:
        raise InputError(
            f"{folder}: {len(absent):,} of {len(names):,} pictures are not there, the first is "
            f"{absent[0]}: {advice}"
        )


def _walk(folder: pathlib.Path, root: pathlib.Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and not pathlib.Path(entry.path).resolve().is_relative_to(root):
                raise InputError(
                    f"{entry.path}: a link that leads out of {root}: put the file itself there"
                )
            # Links to folders are passed over, for they may lead round in a circle.
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(pathlib.Path(entry.path), root, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield prefix + entry.name

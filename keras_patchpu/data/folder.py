"""A custom data set: a folder of pictures, and a CSV file with their labels."""

import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.label_table import LabelTable, read_label_table
from keras_patchpu.data.on_disk import list_pictures
from keras_patchpu.data.pipeline import drop_unknown
from keras_patchpu.data.written_names import composed
from keras_patchpu.errors import InputError

_GIVE = "give the folder with the pictures"


def read_folder(
    images: str | os.PathLike,
    label_file: str | os.PathLike,
    split: str,
    truth: bool = False,
    label_names: Sequence[str] | None = None,
) -> Examples:
    """Reads a custom data set of which every row is good: N images, L labels.

    Args:
        images: the folder with the pictures, in subfolders or not.
        label_file: CSV in one of the forms of `read_label_table`. File names are relative to
            `images`.
        split: the name that the split gets.
        truth: whether the CSV file says the whole truth, as that of a test split.
        label_names: for a test split the labels of the training split, which it then has in their
            order. Those that the CSV file does not name are absent in the form `file,label` with
            `truth`, else unknown.

    Returns:
        `Examples` with the name of the folder, in the order of the CSV file. Keys are the file
        names as written in it, `truth_known` is `truth`, images without any positive stay in, and
        there are no boxes.

    Raises:
        InputError: one line: the first problem, or see `scan_folder`.
    """
    examples, problems = scan_folder(images, label_file, split, truth, label_names)
    if problems:
        more = f" and {len(problems) - 1:,} more problems" if len(problems) > 1 else ""
        raise InputError(f"{problems[0]}{more} (`python recipes/inspect_data.py` lists all)")
    return examples


def read_training_folder(images: str | os.PathLike, label_file: str | os.PathLike) -> Examples:
    """Reads a custom data set to train on, without the images of which no label is known.

    Args: as for `read_folder`.

    Raises:
        InputError: one line: see `read_folder`, or no image has a positive label.
    """
    return drop_unknown(read_folder(images, label_file, "train"))


def scan_folder(
    images: str | os.PathLike,
    label_file: str | os.PathLike,
    split: str,
    truth: bool = False,
    label_names: Sequence[str] | None = None,
) -> tuple[Examples, tuple[str, ...]]:
    """Reads the good rows of a custom data set, and says what is wrong with the others.

    Args: as for `read_folder`.

    Returns:
        `Examples` as of `read_folder`, without the bad rows, and a message for each problem: bad
        rows of the CSV file, files that are not there, and labels that are not among `label_names`.
        Pictures without a row are none. Where every row is bad there are no examples.

    Raises:
        InputError: one line: there are no pictures, none of those in the CSV file is there, a link
            leads out of the folder, or see `read_label_table`.
    """
    folder = pathlib.Path(os.path.abspath(images))
    if folder.is_file():
        raise InputError(f"{folder}: a file, not a folder: {_GIVE}")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: {_GIVE}")
    table = read_label_table(label_file, truth)
    there = list_pictures(folder, _GIVE)
    if not there:
        raise InputError(f"{folder}: no pictures in this folder: {_GIVE}")
    places = _find(table.keys, there)
    found = [row for row, place in enumerate(places) if place is not None]
    if table.keys and not found:
        raise InputError(
            f"{label_file}, line {table.lines[0]}: neither {table.keys[0]} nor any other file is "
            f"in {folder}, which has {min(there)!r}: write file names as they are in this folder"
        )
    labels, unknown_labels = _in_order(label_file, table, label_names)
    examples = Examples(
        name=folder.name,
        split=split,
        label_names=table.label_names if label_names is None else tuple(label_names),
        keys=tuple(table.keys[row] for row in found),
        # Not by pathlib, which takes seconds for a million files.
        images=[os.path.join(folder, places[row]) for row in found],
        labels=labels[found].astype(np.float32),
        truth_known=truth,
    )
    absent = [row for row, place in enumerate(places) if place is None]
    return examples, (*table.problems, *unknown_labels, *_tell(label_file, table, absent, there))


def _find(names: Sequence[str], there: set[str]) -> list[str | None]:
    """For each name that of the file in the folder, which may be decomposed, as by macOS."""
    others = {composed(place): place for place in there if not place.isascii()}
    return [name if name in there else others.get(composed(name)) for name in names]


def _tell(file, table: LabelTable, absent: Sequence[int], there: Iterable[str]) -> list[str]:
    """A message for each file that is not there."""
    if not absent:
        return []
    alike = {place.casefold(): place for place in there}
    messages = []
    for row in absent:
        name = table.keys[row]
        other = alike.get(name.casefold())
        hint = f", but {other} is" if other else ""
        messages.append(
            f"{file}, line {table.lines[row]}: {name} is not in the folder{hint}: correct the name "
            "or add the picture"
        )
    return messages


def _in_order(file, table: LabelTable, label_names) -> tuple[np.ndarray, list[str]]:
    """The labels `(N, L)` in the order of `label_names`, and what is wrong with the others."""
    if label_names is None:
        return table.labels, []
    wanted = {composed(name): column for column, name in enumerate(label_names)}
    labels = np.full((len(table.keys), len(label_names)), table.unnamed, np.int8)
    messages = []
    for column, name in enumerate(table.label_names):
        if name in wanted:
            labels[:, wanted[name]] = table.labels[:, column]
        else:
            messages.append(
                f"{file}, line {table.label_lines[column]}: {name!r} is no label of the training "
                f"split ({int((table.labels[:, column] == 1).sum()):,} files have it): correct it "
                "or take it out"
            )
    return labels, messages

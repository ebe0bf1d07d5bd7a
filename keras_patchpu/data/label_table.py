"""The labels of a custom data set, from one CSV file."""

import array
import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np

from keras_patchpu.data.csv_rows import read_csv_rows
from keras_patchpu.data.written_names import composed, wrong_file_name, wrong_label_name
from keras_patchpu.errors import InputError

_FORMS = (
    "'file,label' with a row for each positive, or 'file,LABEL,LABEL,...' with 1, 0, -1 or nothing "
    "in each cell"
)
# As bytes: 255 is -1 in int8.
_OBSERVED = {"1": 1, "0": 255, "": 255, "-1": 0}
_TRUTH = {"1": 1, "0": 0, "": 255, "-1": 0}
# As float32, which `Examples` has, 4 GB.
_MOST_CELLS = 10**9

_Reject = Callable[[int, str], None]


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """What a CSV file says of N files and L labels.

    Attributes:
        keys: N unique file names, as they are written.
        label_names: the L label names, in Unicode's composed form (NFC).
        labels: int8 `(N, L)`: 1 present, 0 absent, -1 unknown, as in `Examples.labels`.
        lines: int64 `(N,)`, the line that first names each file.
        label_lines: the L lines that first name each label.
        unnamed: what a label that is not among these is: 0 or -1.
        problems: a message for each bad row, such as `labels.csv, line 17: ...`; it is left out.
    """

    keys: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: np.ndarray
    lines: np.ndarray
    label_lines: tuple[int, ...]
    unnamed: int
    problems: tuple[str, ...]


def read_label_table(file: str | os.PathLike, truth: bool = False) -> LabelTable:
    """Reads labels in one of two forms, which the header tells.

    * `file,label`: a row for each positive. Other labels are unknown; with `truth` absent. Labels
      are sorted.
    * `file,LABEL,LABEL,...`: a row for each file, with cells 1 (positive), -1 (known negative), and
      0 or nothing (unknown); with `truth` 0 and -1 are absent and nothing is unknown.

    See `read_csv_rows` for encodings and quotes. Bad rows are left out and told in `problems`. A
    row that stands twice in the first form is none; files are the same if their names are so in
    Unicode's composed form.

    Args:
        file: the CSV file.
        truth: whether the file says the whole truth, as that of a test split.

    Raises:
        InputError: one line: the file cannot be read, is not CSV, or has no header, no rows, or two
            columns of one label.
    """
    problems = []

    def reject(line, wrong):
        problems.append(f"{file}, line {line}: {wrong}")

    rows = read_csv_rows(file, problems)
    line, header = next(rows, (1, []))
    if len(header) < 2 or header[0].lower() != "file":
        found = repr(",".join(header)[:60]) if header else "nothing"
        raise InputError(
            f"{file}, line {line}: expected a header and found {found}: begin with {_FORMS}"
        )
    if len(header) == 2 and header[1].lower() == "label":
        table = _read_list(file, _good_rows(rows, 2, reject), truth, reject)
    else:
        label_names = _label_columns(file, line, header[1:])
        good_rows = _good_rows(rows, len(header), reject)
        table = _read_matrix(good_rows, line, label_names, truth, reject)
    if not table["keys"] and not problems:
        raise InputError(f"{file}: no rows below the header: write {_FORMS}")
    return LabelTable(**table, problems=tuple(problems))


def _label_columns(file, line, fields):
    names = [composed(name) for name in fields]
    for column, name in enumerate(names):
        wrong = wrong_label_name(name)
        if not wrong and name in names[:column]:
            wrong = f"two columns of the label {name!r}: name every label once"
        if wrong:
            raise InputError(f"{file}, line {line}: column {column + 2}: {wrong}")
    return tuple(names)


def _good_rows(rows, width: int, reject: _Reject) -> Iterator[tuple[int, str, list[str]]]:
    """The line, the file and the other fields of the rows that are whole."""
    for line, (name, *fields) in rows:
        if len(fields) + 1 != width:
            reject(
                line,
                f"expected {width} fields as in the header, found {len(fields) + 1}: correct the "
                "row, with quotes around a name that has commas",
            )
        elif wrong := wrong_file_name(name):
            reject(line, wrong)
        else:
            yield line, name, fields


def _read_list(file, rows, truth: bool, reject: _Reject) -> dict:
    row_of, column_of, keys, label_lines = {}, {}, [], []
    lines, row_numbers, column_numbers = (array.array("q") for _ in range(3))
    for line, name, (label,) in rows:
        label = composed(label)
        column = column_of.get(label)
        if column is None:
            wrong = wrong_label_name(label)
            if wrong:
                reject(line, f"{name}: {wrong}")
                continue
            column = column_of[label] = len(column_of)
            label_lines.append(line)
        row = row_of.setdefault(composed(name), len(keys))
        if row == len(keys):
            keys.append(name)
            lines.append(line)
        row_numbers.append(row)
        column_numbers.append(column)

    if len(keys) * len(column_of) > _MOST_CELLS:
        raise InputError(
            f"{file}: {len(column_of):,} labels for {len(keys):,} files are too many: check that "
            "the second column is the label"
        )
    order = sorted(column_of)
    rank = np.argsort([column_of[label] for label in order])
    unnamed = 0 if truth else -1
    labels = np.full((len(keys), len(order)), unnamed, np.int8)
    if keys:
        labels[np.asarray(row_numbers), rank[np.asarray(column_numbers)]] = 1
    return {
        "keys": tuple(keys),
        "label_names": tuple(order),
        "labels": labels,
        "lines": np.array(lines),
        "label_lines": tuple(label_lines[column_of[label]] for label in order),
        "unnamed": unnamed,
    }


def _read_matrix(rows, header_line: int, label_names, truth: bool, reject: _Reject) -> dict:
    codes = dict(_TRUTH if truth else _OBSERVED)
    width = len(label_names)
    row_of, keys, lines, cells = {}, [], array.array("q"), bytearray()
    for line, name, fields in rows:
        try:
            values = bytes(map(codes.__getitem__, fields))
        except KeyError:
            codes.update(_other_codes(fields, codes))
            wrong = next((column for column, text in enumerate(fields) if text not in codes), None)
            if wrong is not None:
                reject(
                    line,
                    f"{name}: {fields[wrong][:40]!r} under {label_names[wrong]}: write 1, 0, -1 or "
                    "nothing",
                )
                continue
            values = bytes(map(codes.__getitem__, fields))
        row = row_of.setdefault(composed(name), len(keys))
        if row < len(keys):
            same = values == cells[row * width : (row + 1) * width]
            labels = "the same" if same else "other"
            reject(line, f"{name} is on line {lines[row]} too, with {labels} labels: keep one row")
            continue
        keys.append(name)
        lines.append(line)
        cells += values
    return {
        "keys": tuple(keys),
        "label_names": label_names,
        "labels": np.frombuffer(cells, np.int8).reshape(-1, width),
        "lines": np.array(lines),
        "label_lines": (header_line,) * width,
        "unnamed": -1,
    }


def _other_codes(fields, codes):
    """The codes of numbers written in another way, such as 1.0."""
    others = {}
    for text in fields:
        try:
            number = float(text or 0)
        except ValueError:
            continue
        if text not in codes and number in (1, 0, -1):
            others[text] = codes[str(int(number))]
    return others

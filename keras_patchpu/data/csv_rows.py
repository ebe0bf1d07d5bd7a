"""Rows of a CSV file that anybody may have written."""

import csv
import io
import os
import pathlib
from collections.abc import Iterator

from keras_patchpu.errors import InputError


def read_csv_rows(file: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the fields of each row that is not empty.

    UTF-8 with or without a byte order mark; what is not UTF-8 is taken for Latin-1. Fields are
    separated by commas, may be quoted, and lose the spaces around them.

    Raises:
        InputError: the file cannot be read, or a quote in it is never closed.
    """
    file = pathlib.Path(file)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}: give a CSV file that can be read") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise InputError(
            f"{file}, line {reader.line_num}: not CSV ({error}): correct the line"
        ) from error

"""Rows of a CSV file that anybody may have written."""

import codecs
import csv
import os
from collections.abc import Iterator

from keras_patchpu.errors import InputError

_SEPARATORS = {";": "semicolons", "\t": "tabs"}
# A matrix of a million labels.
_LONGEST_LINE = 2**24


def read_csv_rows(
    file: str | os.PathLike, problems: list[str] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the fields of each row that is not empty.

    UTF-8 with or without a byte order mark; a line that is not UTF-8 is taken for Latin-1. Fields
    are separated by commas, may be quoted, and lose the spaces around them. Lines end with LF, CRLF
    or CR. A row is one line, so that a quote that is never closed spoils no other row. Lines are
    read as they are needed: the size of the file does not matter.

    Args:
        file: the CSV file.
        problems: takes a message for each row behind the first that is not CSV; reading goes on.
            Without it such a row is an error.

    Raises:
        InputError: the file cannot be read, is UTF-16, is separated by semicolons or tabs, has a
            line of more than 16 MB, or see `problems`.
    """
    first = True
    for number, content in enumerate(_read_lines(file), 1):
        if number == 1:
            content = _without_mark(file, content)
        text = _decode(content)
        if first:
            _check_separator(file, number, text.replace('"', "").strip().lower())
        try:
            fields = [field.strip() for field in _split(text)]
        except csv.Error as error:
            message = f"{file}, line {number}: not CSV ({error}): correct the line"
            if problems is None or first:
                raise InputError(message) from error
            problems.append(message)
            continue
        if any(fields):
            first = False
            yield number, fields


def _read_lines(file):
    try:
        with open(file, "rb") as stream:
            while line := stream.readline(_LONGEST_LINE + 1):
                if len(line) > _LONGEST_LINE:
                    raise InputError(f"{file}: has a line of more than 16 MB: give a CSV file")
                # The stream splits at LF only.
                yield from line.splitlines()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}: give a CSV file that can be read") from error


def _without_mark(file, content):
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{file}: is in UTF-16: save it as CSV in UTF-8")
    return content.removeprefix(codecs.BOM_UTF8)


def _decode(content):
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _check_separator(file, line, text):
    for separator, name in _SEPARATORS.items():
        if text.startswith(f"file{separator}") or (separator in text and "," not in text):
            raise InputError(
                f"{file}, line {line}: its fields are separated by {name}: save it with commas "
                "between them"
            )


def _split(text):
    if "\0" in text:
        raise csv.Error("a NUL byte, as in a spreadsheet or UTF-16; save it as CSV in UTF-8")
    if '"' not in text:
        return text.split(",")
    return next(csv.reader((text,), strict=True, skipinitialspace=True))

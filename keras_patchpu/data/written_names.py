"""Names of files and labels that somebody wrote, and what is wrong with them."""

import os
import re
import unicodedata
from collections.abc import Iterable

from keras_patchpu.errors import InputError

# Absolute, with a backslash or a drive, which to Python any character may be, or with a part that
# is empty, "." or "..".
_OUTSIDE = re.compile(r"/|.*\\|[A-Za-z]:|.:/|(.*/)?\.{0,2}(/|$)")
# Invisible characters are text: Persian and emoji need joiners, macOS puts odd spaces into names.
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def composed(name: str) -> str:
    """The name in Unicode's composed form (NFC); macOS writes file names decomposed."""
    return unicodedata.normalize("NFC", name)


def wrong_file_name(name: str) -> str | None:
    """What is wrong with a file name such as `cats/1.jpg`, relative to a folder, or None."""
    if not name:
        return "no file name: write it, or take out the row"
    if _is_not_text(name):
        return f"the file name {name!r} has a control character: save the file in UTF-8"
    if _OUTSIDE.match(name):
        return (
            f"{name!r} is not a path within the folder of pictures: write it such as cats/1.jpg, "
            "without '.', '..', drive or backslash"
        )
    return None


def wrong_label_name(name: str) -> str | None:
    """What is wrong with the name of a label, or None."""
    if not name:
        return "no label: write its name"
    if _is_not_text(name):
        return f"the label {name!r} has a control character: save the file in UTF-8"
    return None


def check_label_names(file: str | os.PathLike, names: Iterable[object]) -> None:
    """Checks that what a file gives for names of labels are such.

    Raises:
        InputError: one of them is no text, or see `wrong_label_name`.
    """
    for name in names:
        wrong = f"the label {name!r} is no text"
        if isinstance(name, str):
            wrong = wrong_label_name(name)
        if wrong:
            raise InputError(f"{file}: {wrong}")


def _is_not_text(name):
    # The first test is for speed: there may be millions of names.
    return not name.isprintable() and _NOT_TEXT.search(name)

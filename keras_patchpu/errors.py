"""The error that a user's bad input gets."""

from keras_patchpu.printable import printable


class InputError(ValueError):
    """Bad input from the user: a file, a folder or an option.

    The message is one line that says what is wrong, with which file or value, and what to do.
    The recipes print it to standard error and exit with code 2; no traceback. Names of files in it
    may be anybody's, so what a terminal would obey is escaped.
    """

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))

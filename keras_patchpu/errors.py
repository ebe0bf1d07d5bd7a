"""The error that a user's bad input gets."""


class InputError(ValueError):
    """Bad input from the user: a file, a folder or an option.

    The message is one line that says what is wrong, with which file or value, and what to do.
    The recipes print it to standard error and exit with code 2; no traceback.
    """

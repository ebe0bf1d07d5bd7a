"""Imports TensorFlow without its start-up messages, which no log level turns off.

Errors that matter come as exceptions; what TensorFlow logs besides, such as a line for every
truncated JPEG, is turned off. TF_CPP_MIN_LOG_LEVEL=0 shows it all, as when a GPU is not found.
"""

import os


def import_quietly():
    """Imports TensorFlow with standard error turned away."""
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import_quietly()

"""Imports TensorFlow without its start-up messages, which no log level turns off.

Errors that matter come as exceptions; what TensorFlow logs besides, such as a line for every
truncated JPEG and, as an error, that there is no GPU, is turned off. TF_CPP_MIN_LOG_LEVEL=0 shows
it all, as when a GPU is not found or the process ends in the middle of the import.
"""

import os


def import_quietly():
    """Imports TensorFlow with standard error turned away."""
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    # Its messages in Python go by a level of their own: the functions of several models of one
    # process, each traced twice, are taken for one that is traced too often.
    tensorflow.get_logger().setLevel("ERROR")


# 2 and 3, from the user's profile perhaps, ask for less than all of the start-up messages, too.
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") not in ("0", "1"):
    import_quietly()

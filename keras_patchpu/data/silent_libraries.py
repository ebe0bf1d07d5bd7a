"""C++ libraries that write to standard error, kept from it for a while."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_num_inside = 0
_silence = contextlib.ExitStack()


@contextlib.contextmanager
def libraries_silent() -> Iterator[None]:
    """Leaves standard error to Python; libjpeg has a line for nearly each file that is cut off.

    It is the process's, so of several threads the first one silences and the last one ends it.
    """
    global _num_inside
    with _lock:
        if not _num_inside:
            _silence.enter_context(_stderr_to_nowhere())
        _num_inside += 1
    try:
        yield
    finally:
        with _lock:
            _num_inside -= 1
            if not _num_inside:
                _silence.close()


@contextlib.contextmanager
def _stderr_to_nowhere():
    sys.stderr.flush()
    with open(os.dup(2), "w") as stderr, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        # What stands in for standard error, as in a notebook, goes on doing so.
        aside = contextlib.redirect_stderr(stderr if sys.stderr is sys.__stderr__ else sys.stderr)
        try:
            with aside:
                yield
        finally:
            os.dup2(stderr.fileno(), 2)

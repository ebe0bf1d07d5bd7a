"""What libraries in C++ print, and how they end a process: kept from the user."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

# In which the main thread may say more of it than what ends the process does.
_GRACE = 2
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


def tell_of_abort(last_words: Callable[[], tuple[str, int]]) -> object:
    """Has a line and an exit code stand for an abort of this process, as of C++'s `LOG(FATAL)`.

    `signal.signal(signal.SIGABRT, signal.SIG_DFL)` takes it back.

    Args:
        last_words: gives the line on standard error and the exit code.

    Returns:
        What has to be kept as long as it holds.
    """

    def tell(number):
        time.sleep(_GRACE)
        line, code = last_words()
        print(line, file=sys.stderr, flush=True)
        os._exit(code)

    # Python's own handlers come too late, C++ would have ended the process.
    handler = _Handler(tell)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)
    return handler


@contextlib.contextmanager
def libraries_silent_for_good() -> Iterator[None]:
    """Leaves standard output and error to Python; C++ writes what it likes to both.

    Not where `TF_CPP_MIN_LOG_LEVEL` is 0 or 1, which ask for it.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1"):
        yield
        return
    with contextlib.ExitStack() as stack:
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            stream.flush()
            kinds = {"encoding": stream.encoding, "errors": stream.errors}
            own = stack.enter_context(open(os.dup(descriptor), "w", **kinds))
            nowhere = stack.enter_context(open(os.devnull, "w"))
            os.dup2(nowhere.fileno(), descriptor)
            stack.callback(os.dup2, own.fileno(), descriptor)
            stack.callback(setattr, sys, name, stream)
            setattr(sys, name, own)
        yield

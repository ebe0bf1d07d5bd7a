"""How recipes write to the terminal, and how they end."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

import tqdm

from keras_patchpu.errors import InputError
from keras_patchpu.printable import printable


def write(line: str, stream) -> None:
    """Prints a line above the progress bar; escapes what a terminal would obey or cannot show."""
    line = "\n".join(map(printable, line.split("\n")))
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    tqdm.tqdm.write(line, stream)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as of a machine that is shut down or wanted for something else."""


@contextlib.contextmanager
def sigterm_stops() -> Iterator[None]:
    """SIGTERM raises `Terminated` in here."""

    def stop(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(program: str, work: Callable[[], int | None]) -> int:
    """Does the work, which may give a number of bad pictures: 0 without any and 1 with some.

    What stops the work is a line on standard error: 2, and 130 for Ctrl-C, whose exception may say
    more than `stopped`; 0 for `Terminated`. Without one it ends, with 1, where nobody reads its
    output any more, as behind `| head`.
    """
    try:
        bad = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, OSError) as error:
        write(f"{program}: {error}", sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        write(f"{program}: {str(stop) or 'stopped'}", sys.stderr)
        return 0 if isinstance(stop, Terminated) else 130
    return 1 if bad else 0

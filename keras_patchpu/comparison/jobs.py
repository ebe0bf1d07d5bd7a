"""Runs of the grid as processes, one at a time on a device."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

from keras_patchpu.comparison.cells import Cell
from keras_patchpu.training import RunDirectory

# Seconds between two looks at the processes, and those that one has to end after a signal.
_LOOK = 0.2
_PATIENCE = 30
# Seconds that nvidia-smi has to answer.
_ANSWER = 60

# By a run that ends; the second, last of all, by `reporting`, which stands above this.
_WRITTEN = ("metrics.json", "report.html")


@dataclasses.dataclass(frozen=True)
class Job:
    """A run to be made, or made.

    Attributes:
        cell: which of the grid it is.
        directory: the run's.
        command: trains it, or goes on with it.
        epochs: that it has in the end.
    """

    cell: Cell
    directory: RunDirectory
    command: tuple[str, ...]
    epochs: int

    @property
    def is_done(self) -> bool:
        """Whether it has ended: it is measured, then exported, and then has its report."""
        return all((self.directory.path / name).exists() for name in _WRITTEN)

    @property
    def log(self) -> pathlib.Path:
        """What the process prints goes to the end of this file."""
        return self.directory.path.with_name(f"{self.cell.name}.log")


def find_devices() -> list[str | None]:
    """A value of `CUDA_VISIBLE_DEVICES` for each GPU, or None alone: leave it as it is.

    Where the user has set it, it is what the user chose.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        devices = [name for name in chosen.split(",") if name not in ("", "-1")]
    else:
        devices = [str(number) for number in range(_count_gpus())]
    return devices if len(devices) > 1 else [None]


def _count_gpus():
    if not shutil.which("nvidia-smi"):
        return 0
    command = ["nvidia-smi", "-L"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER)
    except subprocess.TimeoutExpired:  # a driver that hangs has no GPU to offer
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """A list to which SIGINT, SIGTERM and SIGHUP are added, in place of what they do.

    An exception could come between the start of a process and its being known.
    """
    received: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup asks for
        numbers.append(signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in numbers
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_jobs(
    jobs: Sequence[Job],
    devices: Sequence[str | None],
    signals: Sequence[int],
    lock: int,
    meanwhile: Callable[[list[Job]], None],
) -> Iterator[tuple[Job, str | None]]:
    """Runs the jobs in their order; stops at a signal.

    Args:
        jobs: that are not done.
        devices: see `find_devices`.
        signals: see `noted_signals`.
        lock: of `training.sole_use`. The processes hold it too, so that what a killed comparison
            left running is not run twice.
        meanwhile: called again and again with the jobs that run.

    Yields:
        Each job as it ends, with why it failed or None.

    Raises:
        OSError: a log cannot be written.
    """
    waiting, free = collections.deque(jobs), list(devices)
    running: list[_Process] = []
    try:
        while (waiting or running) and not signals:
            while waiting and free:
                running.append(_Process(waiting.popleft(), free.pop(0), lock))
            meanwhile([process.job for process in running])
            time.sleep(_LOOK)
            for process in [process for process in running if process.has_ended()]:
                running.remove(process)
                free.append(process.device)
                yield process.job, process.failure()
    finally:
        _end(running, signals)


def _end(running, signals):
    """Interrupts processes; kills those that take too long, or all at a second signal."""
    for process in running:
        process.popen.send_signal(signal.SIGINT)
    num_signals, deadline = len(signals), time.monotonic() + _PATIENCE
    while not all(process.has_ended() for process in running):
        if time.monotonic() > deadline or len(signals) > num_signals:
            for process in running:
                process.popen.kill()  # a run resumes from its last whole epoch all the same
        time.sleep(_LOOK)


class _Process:
    """A job that runs."""

    def __init__(self, job, device, lock):
        self.job = job
        self.device = device
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # so that errors come last
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        with open(job.log, "ab") as log:
            self.log_start = log.tell()
            self.popen = subprocess.Popen(
                job.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C on the terminal reaches it once, from here
            )

    def has_ended(self):
        return self.popen.poll() is not None

    def failure(self):
        """The last line that it printed, or None if it did what it should."""
        code = self.popen.returncode
        if code == 0 and self.job.is_done:
            return None
        with open(self.job.log, "rb") as log:
            log.seek(self.log_start)
            lines = log.read().decode(errors="replace").strip().splitlines()
        end = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{end}: {lines[-1]}" if lines else end

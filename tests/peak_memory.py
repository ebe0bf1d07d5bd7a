"""The most memory that a process has held, from Linux.

`resource.getrusage` will not do: a process begins with the peak of the one that started it.
"""

import os
import subprocess
import sys
from pathlib import Path


def peak_memory() -> int:
    """kB since the process began, or since `forget_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def forget_peak() -> int:
    """From now on the peak counts from what is held, which is returned, in kB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def run_apart(code: str, *arguments) -> subprocess.CompletedProcess:
    """Runs code, which may import this file, in a process of its own that has to succeed."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

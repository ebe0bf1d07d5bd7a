"""The most memory that this process has held."""

import pathlib
import resource
import sys


def peak_memory_gb() -> float:
    """Peak of the resident memory so far, in GB of 2**30 bytes; that of GPUs is not in it."""
    if sys.platform == "linux":
        # `getrusage` begins there with the peak of the process that started this one.
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)

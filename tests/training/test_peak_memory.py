"""A process reports the memory that it took, not what the one that started it had."""

from peak_memory import run_apart

from keras_patchpu.training import peak_memory

CHILD = """
import runpy, sys
held = bytearray(b"x") * (int(sys.argv[2]) * 2**20)
del held
print(runpy.run_path(sys.argv[1])["peak_memory_gb"]())
"""
LARGE_PARENT = f"""
import subprocess, sys
held = bytearray(b"x") * 2**29
subprocess.run([sys.executable, "-c", {CHILD!r}, *sys.argv[1:]], check=True)
"""


def test_of_a_process_that_a_large_one_starts():
    def peak(megabytes):
        return float(run_apart(LARGE_PARENT, peak_memory.__file__, megabytes).stdout)

    assert peak(0) < 0.25  # of Python alone; 0.5 are held by its parent
    assert 0.25 < peak(256) < 0.5

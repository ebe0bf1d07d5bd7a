"""A library that ends the process in C++, which is told in a line."""

import pathlib
import subprocess
import sys

from keras_patchpu.training import abort

# By the file alone, which needs no TensorFlow.
ABORT = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("abort", sys.argv[1])
abort = importlib.util.module_from_spec(spec)
spec.loader.exec_module(abort)
kept = abort.tell_of_abort(lambda: ("a line", 3))
with abort.libraries_silent_for_good():
    os.write(1, b"by C++")
    os.write(2, b"by C++, of a stack")
    print("by Python", flush=True)
    os.abort()
"""


def finished(**environment):
    script = [sys.executable, "-c", ABORT, pathlib.Path(abort.__file__)]
    return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120)


def test_an_abort_is_told_in_a_line():
    process = finished()
    assert process.returncode == 3
    assert process.stdout == "by Python\n" and process.stderr == "a line\n"


def test_what_libraries_say_is_there_for_who_asks():
    process = finished(TF_CPP_MIN_LOG_LEVEL="0")
    assert process.returncode == 3
    assert process.stdout == "by C++by Python\n"
    assert process.stderr == "by C++, of a stacka line\n"

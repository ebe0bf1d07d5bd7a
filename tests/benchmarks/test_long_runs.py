"""A run that is killed at random moments, and one of many epochs."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def measured(tmp_path):
    """Runs a program of `benchmarks/` in a process of its own; gives what it wrote."""

    def run(name, *options):
        out = tmp_path / "out.json"
        program = [sys.executable, ROOT / "benchmarks" / name, "--out", out, *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.run(program, env=environment, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout + process.stderr
        return json.loads(out.read_text())

    return run


@pytest.mark.long
def test_killed_at_random_moments(measured):
    result = measured("kill.py", "--kills", "20")
    assert sum(result["kills"].values()) == 20
    assert result["runs with the weights of one that was not killed"] >= 1


@pytest.mark.long
def test_memory_stays_flat(measured):
    in_use = measured("many_epochs.py", "--epochs", "200")["in_use"]
    # 20 kB an epoch; what Keras kept of each save before it was mended took 70.
    assert 100 < in_use["end"]["mb"] < in_use["half"]["mb"] + 2

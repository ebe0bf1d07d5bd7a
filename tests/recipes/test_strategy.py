"""`--strategy mirrored` on two logical CPUs, killed and resumed, ends where one device does."""

import csv
import signal
import time

import numpy as np
import pytest

TWO_DEVICES = """
import os, runpy, sys
sys.argv.pop(0)
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import quiet_start
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def losses(run):
    with open(run / "history.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.long
def test_killed_and_resumed_on_two_devices(start_process, small_run, finish, weights_of, tmp_path):
    out, told = tmp_path / "run", ["--loss", "role", "--epochs", "3"]
    arguments = [*small_run(out, tmp_path / "models", *told), "--strategy", "mirrored"]
    environment = {"code": TWO_DEVICES, "CUDA_VISIBLE_DEVICES": "-1"}
    process = start_process(arguments, tmp_path, **environment)
    while not (out / "checkpoints" / "epoch-0001.keras").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (out / "model.keras").exists()
    process = start_process([*arguments, "--resume"], tmp_path, **environment)
    printed, errors = process.communicate(timeout=1200)
    assert process.returncode == 0 and errors == "", errors
    assert "epoch   1/3" not in printed and (out / "report.html").exists()

    # Not the mAP: so early it orders ten scores that differ by rounding.
    one = finish(*told).out
    np.testing.assert_allclose(losses(out), losses(one), rtol=1e-5)
    expected, weights = (weights_of(run / "model.keras") for run in (one, out))
    assert expected["loss/state/vars/0"].shape == (22, 20)
    assert weights.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(weights[name], values, rtol=0, atol=1e-4, err_msg=name)

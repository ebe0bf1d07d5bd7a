"""Two processes on this machine train as two hosts: the same weights, and one that ends."""

import importlib.util
import signal
import socket
import time

import keras
import numpy as np
import pytest

# The first of five blocks, no export and no report: JAX would compile for minutes.
SMALL_CODE = """
import os, runpy, sys
sys.argv.pop(0)
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import quiet_start
from keras_patchpu.layers import patch_embedder
from keras_patchpu.training import several_hosts, trainer
several_hosts.PATIENCE = int(os.environ.get("PATIENCE", 60))
patch_embedder.FIRST_FIVE_BLOCKS = dict(list(patch_embedder.FIRST_FIVE_BLOCKS.items())[:1])
trainer.export = lambda *arguments: None
import training_command
training_command.write_report = lambda *arguments: None
runpy.run_path(sys.argv[0], run_name="__main__")
"""
LOST = (
    "train_voc: another host has ended or is out of reach, see there: "
    "start all of them with --resume\n"
)

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def start(start_process, small_run, make_voc, tmp_path_factory):
    """Starts a run of three epochs, each with a last batch of 3: `start("run", "--loss", "wn")`."""
    folder = tmp_path_factory.mktemp("hosts")
    pictures = make_voc(folder / "data", num_train=7, num_val=4, size=64)
    environment = {
        "KERAS_BACKEND": "jax",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        # What one process has compiled the next one finds.
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def run(name, *more, **variables):
        arguments = small_run(folder / name, folder / "models", "--batch-size", "4", data=pictures)
        # Hosts with one cache wait for each other, and say so.
        arguments += ["--epochs", "3", "--cache", "none", *more]
        return start_process(arguments, folder, code=SMALL_CODE, **environment, **variables)

    run.folder = folder
    return run


@pytest.fixture
def start_two(start):
    """Starts both hosts, of which the second must not write: `start_two("run", ...)`."""
    processes = []

    def run(name, *more):
        address = f"127.0.0.1:{free_port()}"
        for number, out in enumerate((name, f"{name}-unused")):
            hosts = ["--coordinator", address, "--num-hosts", "2", "--host-id", str(number)]
            processes.append(start(out, *more, *hosts))
        return processes[-2:]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def printed_by(process):
    printed, errors = process.communicate(timeout=1200)
    assert process.returncode == 0 and errors == "", errors
    return printed


def assert_ends_with_a_line(process, code, line):
    since = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - since < 60
    assert process.returncode == code and errors == line


@pytest.fixture
def assert_same_weights(start, weights_of):
    """Of two runs, up to rounding."""

    def check(one, other):
        expected, weights = (
            weights_of(start.folder / name / "model.keras") for name in (one, other)
        )
        assert weights.keys() == expected.keys()
        for name in expected:
            atol = 1e-5 * max(1, np.abs(expected[name]).max())
            np.testing.assert_allclose(
                weights[name], expected[name], rtol=0, atol=atol, err_msg=name
            )

    return check


@needs_jax
@pytest.mark.long
def test_two_hosts_end_where_one_process_does(start, start_two, assert_same_weights):
    first, second = start_two("two", "--loss", "wn", "--augment", "crop,flip")
    assert "epoch   3/3" in printed_by(first)
    assert printed_by(second) == "" and not (start.folder / "two-unused").exists()
    printed_by(start("one", "--loss", "wn", "--augment", "crop,flip"))
    assert_same_weights("one", "two")


@needs_jax
@pytest.mark.long
def test_stopped_and_either_host_killed_and_both_resume(start, start_two, assert_same_weights):
    checkpoints = start.folder / "killed" / "checkpoints"
    told = ("--loss", "en+cl", "--epochs", "4")
    for epoch, victim in enumerate((None, 1, 0), 1):
        hosts = start_two("killed", *told, "--resume")
        while not (checkpoints / f"epoch-{epoch:04d}.keras").exists():
            assert all(host.poll() is None for host in hosts), [h.communicate() for h in hosts]
            time.sleep(0.01)
        if victim is None:
            for host in hosts:
                host.send_signal(signal.SIGTERM)
            for host in hosts:
                assert_ends_with_a_line(
                    host, 0, "train_voc: stopped; --resume goes on from there\n"
                )
        else:
            hosts[victim].kill()
            assert_ends_with_a_line(hosts[1 - victim], 1, LOST)
            assert hosts[victim].wait() == -signal.SIGKILL
    for host in start_two("killed", *told, "--resume"):
        assert "epoch   3/4" not in printed_by(host)
    printed_by(start("whole", *told))
    assert_same_weights("whole", "killed")


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_others_that_do_not_come(start, number):
    address = f"127.0.0.1:{free_port()}"
    hosts = ["--coordinator", address, "--num-hosts", "2", "--host-id", str(number)]
    process = start("alone", *hosts, PATIENCE="4")
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == 2 and printed == "", errors
    assert errors.startswith(f"train_voc: --coordinator {address}: not all of the 2 hosts came")
    assert errors.count("\n") == 1 and not (start.folder / "alone").exists()


ALL = "--coordinator 10.0.0.1:1234 --num-hosts 3 --host-id 1"


@pytest.mark.parametrize(
    ("options", "backend", "named"),
    [
        ("--coordinator 10.0.0.1:1234", "jax", "go together"),
        ("--num-hosts 3 --host-id 1", "jax", "go together"),
        (ALL, "tensorflow", "KERAS_BACKEND=jax, not tensorflow"),
        (ALL, "torch", "KERAS_BACKEND=jax, not torch"),
        (ALL.replace("id 1", "id 3"), "jax", "--host-id 3 is not within 0 and 2"),
        (ALL.replace("id 1", "id -1"), "jax", "--host-id -1 is not within 0 and 2"),
        (ALL.replace(":1234", ""), "jax", "--coordinator 10.0.0.1 is not HOST:PORT"),
        (ALL, "jax", "8 images cannot be shared by 3 hosts"),
    ],
)
def test_bad_options(
    one_line_of, train_voc, small_run, tmp_path, monkeypatch, options, backend, named
):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    arguments = small_run(tmp_path / "run", tmp_path / "models", *options.split())
    assert named in one_line_of(train_voc, *arguments)
    assert list(tmp_path.iterdir()) == []

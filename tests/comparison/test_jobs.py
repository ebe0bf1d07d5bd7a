"""Runs as processes: in order, one a device, and what becomes of them at a signal."""

import contextlib
import json
import os
import signal
import sys
import time

import pytest

from keras_patchpu.comparison import (
    Cell,
    Job,
    find_devices,
    jobs,
    noted_signals,
    run_jobs,
    seconds_left,
)
from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory, sole_use

# Each gets the run's directory as its argument.
FINISHES = """
import json, os, sys, time
os.makedirs(sys.argv[1])
started = time.time()
time.sleep(0.5)
device = os.environ.get("CUDA_VISIBLE_DEVICES")
content = {"started": started, "ended": time.time(), "device": device}
open(sys.argv[1] + "/metrics.json", "w").write(json.dumps(content))
open(sys.argv[1] + "/report.html", "w").close()
"""
# As a run that is told to stop while it writes its report, which it says in a line.
NOT_REPORTED = """
import os, sys
os.makedirs(sys.argv[1])
open(sys.argv[1] + "/metrics.json", "w").write("{}")
print("train_voc: stopped; the run has ended, --resume writes its report")
"""
FAILS = "import sys; print('printed'); sys.exit('train_voc: no such file')"
CRASHES = "import os, signal; print('at work'); os.kill(os.getpid(), signal.SIGKILL)"
INTERRUPTED = """
import os, sys, time
os.makedirs(sys.argv[1])
try:
    open(sys.argv[1] + "/started", "w")
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit("stopped by Ctrl-C")
"""
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + INTERRUPTED


@pytest.fixture
def make_jobs(tmp_path):
    def make(*codes):
        made = []
        for seed, code in enumerate(codes):
            cell = Cell("patch", "wn", seed)
            directory = RunDirectory(tmp_path / cell.name)
            command = (sys.executable, "-c", code, str(directory.path))
            made.append(Job(cell, directory, command, epochs=4))
        return made

    return make


@pytest.fixture
def run(tmp_path):
    """Runs jobs to their end; gives what is said of each."""

    def run(made, devices=(None,), meanwhile=lambda running: None):
        with sole_use(tmp_path, "another") as lock, noted_signals() as signals:
            with contextlib.closing(run_jobs(made, devices, signals, lock, meanwhile)) as ended:
                return [(job.cell.seed, failure) for job, failure in ended], signals

    return run


def metrics_of(job):
    return json.loads((job.directory.path / "metrics.json").read_text())


def test_one_after_the_other(make_jobs, run):
    made = make_jobs(FINISHES, FINISHES)
    seen = []
    ended, _ = run(made, meanwhile=lambda running: seen.append(len(running)))
    assert ended == [(0, None), (1, None)]
    first, second = map(metrics_of, made)
    assert first["ended"] <= second["started"]
    assert max(seen) == 1


@pytest.fixture
def heeded_signals():
    """Signals as in a terminal; under nohup, or in the background of a script, some are ignored."""
    numbers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_one_on_each_device(make_jobs, run):
    made = make_jobs(FINISHES, FINISHES, FINISHES)
    ended, _ = run(made, devices=["0", "GPU-b"])
    assert sorted(ended) == [(0, None), (1, None), (2, None)]
    first, second, third = map(metrics_of, made)
    assert (first["device"], second["device"]) == ("0", "GPU-b")
    assert first["started"] < second["ended"] and second["started"] < first["ended"]
    assert third["started"] >= min(first["ended"], second["ended"])


def test_failures_are_told_and_the_others_go_on(make_jobs, run):
    made = make_jobs(FAILS, CRASHES, "", FINISHES, NOT_REPORTED)
    ended, _ = run(made)
    assert ended == [
        (0, "exit code 1: train_voc: no such file"),
        (1, "ended by SIGKILL: at work"),
        (2, "exit code 0"),  # but it has no metrics
        (3, None),
        (4, "exit code 0: train_voc: stopped; the run has ended, --resume writes its report"),
    ]
    assert [job.is_done for job in made] == [False, False, False, True, False]
    assert made[0].log.read_text() == "printed\ntrain_voc: no such file\n"


def test_the_log_is_added_to_and_told_from_this_time_on(make_jobs, run):
    (job,) = make_jobs("import sys; sys.exit(3)")
    job.log.write_text("of the first time\n")
    assert run([job])[0] == [(0, "exit code 3")]
    assert job.log.read_text() == "of the first time\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_what_runs_and_starts_nothing(make_jobs, run, number, heeded_signals):
    made = make_jobs(INTERRUPTED, FINISHES)

    def send(running):
        if (running[0].directory.path / "started").exists():
            os.kill(os.getpid(), number)

    started = time.monotonic()
    ended, signals = run(made, meanwhile=send)
    assert time.monotonic() - started < 20
    assert ended == [] and set(signals) == {number}
    assert made[0].log.read_text() == "stopped by Ctrl-C\n"
    assert not made[1].log.exists() and not made[1].is_done


def test_who_takes_too_long_is_killed(make_jobs, run, monkeypatch):
    monkeypatch.setattr(jobs, "_PATIENCE", 0.5)
    made = make_jobs(STUBBORN)

    def send(running):
        if (running[0].directory.path / "started").exists():
            os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    assert run(made, meanwhile=send)[0] == []
    assert time.monotonic() - started < 20
    assert made[0].log.read_text() == ""


def test_an_error_in_between_ends_what_runs(make_jobs, run):
    made = make_jobs(INTERRUPTED)

    def fail(running):
        if (running[0].directory.path / "started").exists():
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run(made, meanwhile=fail)
    assert made[0].log.read_text() == "stopped by Ctrl-C\n"


def test_signals_do_again_what_they_did():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with noted_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
    assert signals == [signal.SIGTERM]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with noted_signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
        assert signals == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_killed_comparison_left_running_keeps_the_lock(tmp_path, make_jobs):
    (job,) = make_jobs(INTERRUPTED)
    with sole_use(tmp_path, "another") as lock:
        process = jobs._Process(job, None, lock)
    try:
        with pytest.raises(InputError, match="in use by another: wait"):
            with sole_use(tmp_path, "another"):
                pass
    finally:
        process.popen.kill()
        process.popen.wait()
    with sole_use(tmp_path, "another"):
        pass


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a program of that name on the path, which prints a text."""

    def put(text, code=0):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return put


def test_devices(nvidia_smi, monkeypatch):
    nvidia_smi("GPU 0: A (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)\nGPU 1: A (UUID: G)")
    assert find_devices() == ["0", "1"]
    nvidia_smi("GPU 0: A (UUID: GPU-1)")
    assert find_devices() == [None]
    nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the driver", 9)
    assert find_devices() == [None]
    for chosen, devices in (("2,5", ["2", "5"]), ("2", [None]), ("", [None]), ("-1", [None])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert find_devices() == devices
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", "")
    assert find_devices() == [None]


def test_a_driver_that_hangs_has_no_gpus(nvidia_smi, tmp_path, monkeypatch):
    nvidia_smi("")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(jobs, "_ANSWER", 0.1)
    assert find_devices() == [None]


def test_time_left(tmp_path):
    def job(model, seed, seconds, done=False):
        cell = Cell(model, "wn", seed)
        directory = RunDirectory(tmp_path / cell.name)
        directory.path.mkdir()
        if seconds:
            directory.write_history([{"seconds": value} for value in seconds])
        if done:
            directory.write_json("metrics.json", {})
            (directory.path / "report.html").touch()
        return Job(cell, directory, (), epochs=4)

    assert seconds_left([job("patch", 0, [])], 1) is None
    done = job("patch", 1, [10, 10, 20, 20], done=True)
    assert seconds_left([done], 1) == 0
    begun, waiting = job("patch", 2, [15, 15]), job("patch", 3, [])
    assert seconds_left([done, begun, waiting], 1) == pytest.approx((2 + 4) * 15)
    # One whose speed is not known counts as the others.
    other = job("resnet50", 0, [])
    assert seconds_left([done, begun, waiting, other], 1) == pytest.approx((2 + 4 + 4) * 15)
    known = job("resnet50", 1, [100])
    assert seconds_left([done, waiting, other, known], 2) == pytest.approx(
        (4 * 15 + (4 + 3) * 100) / 2
    )

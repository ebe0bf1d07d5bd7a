"""What the training recipes print: `--quiet`, `--log-json`, and neither of them."""

import contextlib
import csv
import io
import json
import shutil
import types

import keras
import pytest
import tensorflow as tf

from keras_patchpu import data, reporting
from keras_patchpu.errors import InputError


class Terminal(io.StringIO):
    """Standard error that a bar is shown on."""

    def isatty(self):
        return True


@pytest.fixture
def resume_finished(train_voc, small_run, finished, tmp_path):
    """Measures a finished run again, with nothing left to train; gives the exit code."""

    def run(*options):
        out, models = tmp_path / "run", tmp_path / "models"
        shutil.copytree(finished.out, out)
        return train_voc.main(small_run(out, models, "--resume", *options))

    return run


def test_quiet(train_voc, small_run, tmp_path, capsys):
    out, models = tmp_path / "run", tmp_path / "models"
    options = ["--quiet", "--epochs", "1", "--cache", "none"]
    with contextlib.redirect_stderr(Terminal()) as stderr:
        assert train_voc.main(small_run(out, models, *options)) == 0
    assert stderr.getvalue() == ""
    lines = capsys.readouterr().out.splitlines()
    first = [line.split()[0] for line in lines]
    assert first[0] == "label" and first[1:21] == list(data.VOC_LABELS)
    assert set(first[21:]) == {"mAP", "run", "serve", "evaluate", "server", "ask", "report"}
    assert lines[-1] == f"report    {out}/report.html"


def test_quiet_says_what_is_wrong(one_line, small_run, tmp_path):
    message = one_line(small_run(tmp_path / "a", tmp_path / "models", "--quiet", data=tmp_path))
    assert str(tmp_path) in message


def test_a_json_object_a_line(train_voc, small_run, tmp_path, capsys, voc):
    out, models = tmp_path / "run", tmp_path / "models"
    options = ["--log-json", "--epochs", "2", "--hold-out", "0.3", "--cache", "none"]
    options += ["--loss-options", "theta=0.1"]
    with contextlib.redirect_stderr(Terminal()) as stderr:
        assert train_voc.main(small_run(out, models, *options)) == 0
    assert "reading images" in stderr.getvalue() and "epoch 2/2" in stderr.getvalue()
    printed = capsys.readouterr().out
    assert printed.endswith("}\n")
    start, *epochs, end = [json.loads(line) for line in printed.splitlines()]

    assert start["event"] == "start" and start["out"] == str(out)
    assert start["config"] == json.loads((out / "config.json").read_text())
    assert start["config"]["loss_options"] == {"theta": 0.1}
    assert start["num_parameters"] == 218_050 and "CPU cores" in start["device"]

    with open(out / "history.csv", newline="") as file:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    assert "validation_map" in rows[0]
    for epoch, row in zip(epochs, rows, strict=True):
        left = epoch.pop("seconds_left")
        assert (left > 0) == (row["epoch"] == 1)
        assert epoch == {"event": "epoch", "epochs": 2, **row}

    assert end == {
        "event": "end",
        "out": str(out),
        "saved_model": f"{models}/run/1",
        "report": f"{out}/report.html",
        "evaluate": f"python recipes/evaluate.py {out} --data {voc}",
        "metrics": json.loads((out / "metrics.json").read_text()),
    }


def test_others_do_not_print_in_between(resume_finished, monkeypatch, capsys):
    read_source = data.read_source

    def read_and_print(*arguments):
        print("Downloading ...")  # as TFDS does
        return read_source(*arguments)

    monkeypatch.setattr(data, "read_source", read_and_print)
    assert resume_finished("--log-json") == 0
    printed = capsys.readouterr()
    events = [json.loads(line)["event"] for line in printed.out.splitlines()]
    assert events == ["start", "end"]
    assert printed.err == "Downloading ...\n"


def test_an_end_without_a_report(resume_finished, monkeypatch, capsys):
    def fail(*arguments):
        raise InputError("the disk is full")

    monkeypatch.setattr(reporting, "write_run_report", fail)
    assert resume_finished("--log-json") == 2
    printed = capsys.readouterr()
    end = json.loads(printed.out.splitlines()[-1])
    assert end["event"] == "end" and end["report"] is None
    assert end["metrics"]["mean_average_precision"] > 0
    assert printed.err == "train_voc: the run has ended, but without its report: the disk is full\n"


def test_errors_are_no_json(train_voc, small_run, tmp_path, capsys):
    options = small_run(tmp_path / "a", tmp_path / "models", "--log-json", data=tmp_path)
    assert train_voc.main(options) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("train_voc: ")


@pytest.mark.parametrize(
    ("recipe", "options"),
    [("train_voc", []), ("train_folder", ["--images", "photos", "--labels", "labels.csv"])],
)
def test_only_one_of_the_two(import_script, recipe, options, capsys):
    recipe = import_script("recipes", recipe)
    kinds = {
        recipe.parse_arguments([*options, *more]).log.__name__
        for more in ([], ["--quiet"], ["--log-json"])
    }
    assert kinds == {"LineLog", "QuietLog", "JsonLog"}
    with pytest.raises(SystemExit) as stopped:
        recipe.parse_arguments([*options, "--quiet", "--log-json"])
    assert stopped.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.long
def test_who_reads_has_each_line_at_once_and_may_leave(start_process, small_run, tmp_path):
    arguments = small_run(tmp_path / "a", tmp_path / "m", "--log-json", "--epochs", "400")
    with start_process(arguments, tmp_path) as process:
        events = [json.loads(process.stdout.readline())["event"] for _ in range(2)]
        assert events == ["start", "epoch"] and process.poll() is None
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_run_says_nothing_on_standard_error(start_process, small_run, tmp_path):
    # Two models, that of the report too, and batches of several sizes for each.
    options = ["--epochs", "2", "--hold-out", "0.3"]
    process = start_process(small_run(tmp_path / "run", tmp_path / "models", *options), tmp_path)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and errors == ""
    words = {line.split()[0] for line in printed.splitlines()}
    plan = {"data", "loss", "model", "recipe", "device", "out", "epoch", "label"}
    end = {"mAP", "run", "serve", "evaluate", "server", "ask", "report"}
    assert words == plan | set(data.VOC_LABELS) | end


class TestDevice:
    """What trains is that of Keras's backend; TensorFlow, which reads pictures, may see none."""

    @pytest.fixture
    def device(self, import_script, monkeypatch):
        def of(backend):
            monkeypatch.setattr(keras.config, "backend", lambda: backend)
            return import_script("recipes", "training_log")._device()

        return of

    @pytest.mark.parametrize("backend", ["tensorflow", "torch"])
    def test_no_accelerator(self, device, backend):
        pytest.importorskip(backend)
        assert device(backend).endswith(" CPU cores")

    def test_jax_without_accelerator(self, device, monkeypatch):
        # JAX itself is not asked here: from then on it warns of each process that a test starts.
        cpu = types.SimpleNamespace(platform="cpu", device_kind="cpu")
        monkeypatch.setattr(pytest.importorskip("jax"), "devices", lambda: [cpu])
        assert device("jax").endswith(" CPU cores")

    def test_tensorflow(self, device, monkeypatch):
        gpus = [types.SimpleNamespace(name="/physical_device:GPU:0")]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
        assert device("tensorflow") == "/physical_device:GPU:0"

    def test_jax(self, device, monkeypatch):
        gpu = types.SimpleNamespace(platform="gpu", device_kind="NVIDIA H200")
        monkeypatch.setattr(pytest.importorskip("jax"), "devices", lambda: [gpu])
        assert device("jax") == "NVIDIA H200"

    def test_torch(self, device, monkeypatch):
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
        assert device("torch") == "cuda"

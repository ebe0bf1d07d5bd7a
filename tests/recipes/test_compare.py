"""`recipes/compare.py`: what it runs, resumes and leaves out; exit codes; signals."""

import csv
import json
import pathlib
import signal
import time

import numpy as np
import pytest

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
# Stands in for train_voc.py: two halves of a run, between which it can be cut off.
STUB = """
import csv, json, os, pathlib, sys, time
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
with open(os.environ["STUB_CALLS"], "a") as file:
    file.write(out.name + "\\n")
print("at work on", out.name)
if out.name in os.environ.get("STUB_FAILS", "").split():
    sys.exit("train_voc: it cannot be")
configs = json.loads(pathlib.Path(os.environ["STUB_CONFIGS"]).read_text())
out.mkdir(exist_ok=True)
(out / "config.json").write_text(json.dumps(configs[out.name]))
value = 10.0 + len(out.name) + configs[out.name]["seed"]
rows = [
    dict(epoch=e, loss=1, test_map=value - 3 + e, validation_map=e, validation_observed_map=-e,
         images_per_second=5.0, seconds=30.0)
    for e in (1, 2, 3)
]
def write(rows):
    with open(out / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
write(rows[:1])
try:
    time.sleep(float(os.environ.get("STUB_SECONDS", 0)))
except KeyboardInterrupt:
    print("train_voc: stopped", file=sys.stderr)
    sys.exit(130)
write(rows)
labels = {
    name: {"positives": 20, "average_precision": value} for name in configs[out.name]["label_names"]
}
(out / "metrics.json").write_text(json.dumps(dict(
    labels=labels, mean_average_precision_frequent=value, frequent_means_at_least=20,
    peak_memory_gb=1.0)))
(out / "report.html").touch()
"""
# A process in which compare.py runs the stub.
WITH_STUB = """
import pathlib, sys
recipe, stub = sys.argv[1:3]
sys.path.insert(0, str(pathlib.Path(recipe).parent))
import compare
compare.TRAIN_SCRIPT = stub
sys.exit(compare.main(sys.argv[3:]))
"""


@pytest.fixture
def stub(compare, tmp_path, monkeypatch):
    """Puts `STUB` in place of train_voc.py; gives what makes its configurations, and its calls."""
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(compare, "TRAIN_SCRIPT", tmp_path / "stub.py")
    monkeypatch.setenv("STUB_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("STUB_CONFIGS", str(tmp_path / "configs"))
    (tmp_path / "calls").touch()

    class Stub:
        def expect(self, arguments):
            """Has the runs of these arguments end with the right configuration."""
            configs = {}
            for job in compare.plan(compare.parse_arguments(arguments)):
                run, _ = compare.data_set_training.plan(
                    compare.train_voc.parse_arguments(list(job.command[2:]))
                )
                configs[job.cell.name] = run.config()
            (tmp_path / "configs").write_text(json.dumps(configs))

        def calls(self):
            """The names of the runs since last asked."""
            names = (tmp_path / "calls").read_text().split()
            (tmp_path / "calls").write_text("")
            return names

    return Stub()


def read_table(tmp_path):
    with open(tmp_path / "out" / "table.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_runs_what_is_missing_resumes_what_was_cut_off_and_skips_what_is_done(
    compare, stub, grid_arguments, import_script, tmp_path, capsys
):
    asked = grid_arguments("patch:wn,en+cl", "resnet50:an")
    stub.expect(asked)
    assert compare.main(asked) == 0
    names = ["patch-wn-0", "patch-en_cl-0", "resnet50-an-0"]
    names += [name[:-1] + "1" for name in names]
    assert stub.calls() == names
    printed, errors = capsys.readouterr()
    lines = printed.splitlines()
    assert errors == "" and lines[0] == "6 runs, 0 of them done"
    assert lines[1] == "  1 of 6  patch wn, seed 0: test mAP 20.0, 1.5 min, 07:30 left"
    assert lines[6] == "  6 of 6  resnet50 an, seed 1: test mAP 24.0, 1.5 min, 00:00 left"
    assert {line.split()[1] for line in lines[7:]} == {
        str(tmp_path / "out" / name)
        for name in ("table.md", "table.csv", "plot.png", "report.html")
    }
    assert (tmp_path / "out" / "patch-wn-0.log").read_text() == "at work on patch-wn-0\n"
    table = read_table(tmp_path)
    assert [(row["model"], row["loss"], row["seeds"]) for row in table] == [
        ("patch", "wn", "2"),
        ("patch", "en+cl", "2"),
        ("resnet50", "an", "2"),
    ]
    assert float(table[0]["last_mean"]) == np.mean([20, 21])
    assert float(table[0]["observed_mean"]) == np.mean([18, 19])
    assert float(table[0]["last_deviation"]) == pytest.approx(np.std([20, 21], ddof=1), abs=1e-3)

    (tmp_path / "out" / "patch-en_cl-1" / "metrics.json").unlink()  # cut off before its end
    (tmp_path / "out" / "table.md").unlink()
    more = grid_arguments("patch:wn,en+cl,an", "resnet50:an")
    stub.expect(more)
    assert compare.main(more) == 0
    assert stub.calls() == ["patch-an-0", "patch-en_cl-1", "patch-an-1"]
    assert capsys.readouterr().out.startswith("8 runs, 5 of them done\n  6 of 8  patch an")

    before = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    (tmp_path / "out" / "table.md").unlink()
    assert compare.main(more) == 0
    assert stub.calls() == []
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == before
    assert before.startswith("# Comparison: VOC2012\n\n8 of 8 runs are finished.")
    assert f"--data {more[1]}" in before

    report = tmp_path / "out" / "report.html"
    page = report.read_text(encoding="utf-8")
    assert "<dd>8 of 8</dd>" in page and 'href="patch-an-1.log"' in page
    report.unlink()
    assert import_script("recipes", "report").main([str(report.parent)]) == 0
    assert report.read_text(encoding="utf-8") == page


def test_the_tables_are_written_after_every_run(
    compare, stub, grid_arguments, tmp_path, monkeypatch
):
    asked = grid_arguments("patch:wn,an", seeds=[0])
    stub.expect(asked)
    seeds = []
    read = compare.write_tables

    def write_tables(*given):
        read(*given)
        seeds.append([row["seeds"] for row in read_table(tmp_path)])
        assert (tmp_path / "out" / "plot.png").stat().st_size > 1000

    monkeypatch.setattr(compare, "write_tables", write_tables)
    assert compare.main(asked) == 0
    assert seeds == [["0", "0"], ["1", "0"], ["1", "1"]]


def test_a_run_that_fails_is_told_and_the_others_go_on(
    compare, stub, grid_arguments, tmp_path, capsys, monkeypatch
):
    asked = grid_arguments("patch:wn,an,bce", seeds=[0])
    stub.expect(asked)
    monkeypatch.setenv("STUB_FAILS", "patch-an-0")
    assert compare.main(asked) == 1
    printed, errors = capsys.readouterr()
    assert errors == "compare: 1 of 3 runs failed\n"
    log = tmp_path / "out" / "patch-an-0.log"
    failed = f"FAILED, see {log} (exit code 1: train_voc: it cannot be)"
    assert printed.splitlines()[2] == f"  2 of 3  patch an, seed 0: {failed}, 01:30 left"
    assert [row["seeds"] for row in read_table(tmp_path)] == ["1", "0", "1"]
    # Tried again.
    stub.calls()
    monkeypatch.delenv("STUB_FAILS")
    assert compare.main(asked) == 0
    assert stub.calls() == ["patch-an-0"]


@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_before_anything_runs(
    compare, stub, grid_arguments, tmp_path, capsys, finished
):
    asked = grid_arguments("patch:wn,an", seeds=[0])
    stub.expect(asked)
    assert compare.main(asked) == 0
    if not finished:
        (tmp_path / "out" / "patch-an-0" / "metrics.json").unlink()
    stub.calls()
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert compare.main([*asked, "--epochs", "4"]) == 2
    printed, errors = capsys.readouterr()
    assert printed == "" and errors.count("\n") == 1
    assert "patch-wn-0 was started with epochs 3, not 4: resume it with the same" in errors
    assert stub.calls() == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_runs_and_they_go_on_later(
    compare, stub, grid_arguments, start_process, tmp_path, number
):
    asked = grid_arguments("patch:wn,an,bce", seeds=[0])
    stub.expect(asked)
    process = start_process(
        [tmp_path / "stub.py", *asked], tmp_path, "compare.py", WITH_STUB, STUB_SECONDS="60"
    )
    try:
        history = tmp_path / "out" / "patch-wn-0" / "history.csv"
        while not (history.exists() and history.read_text().count("\n") == 2):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == "compare: stopped; the same command goes on\n"
    assert printed == "3 runs, 0 of them done\n"
    # Had it been killed, it would not have said so.
    log = (tmp_path / "out" / "patch-wn-0.log").read_text()
    assert log == "at work on patch-wn-0\ntrain_voc: stopped\n"
    assert "0 of 3 runs are finished" in (tmp_path / "out" / "table.md").read_text("utf-8")
    assert stub.calls() == ["patch-wn-0"]
    assert compare.main(asked) == 0
    assert stub.calls() == ["patch-wn-0", "patch-an-0", "patch-bce-0"]


@pytest.mark.long
def test_real_runs(compare, grid_arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(RECIPES.parent))
    asked = grid_arguments("patch:en+cl", "resnet50:bce", seeds=[0])
    assert compare.main(asked) == 0
    rows = read_table(tmp_path)
    for row, name in zip(rows, ("patch-en_cl-0", "resnet50-bce-0"), strict=True):
        folder = tmp_path / "out" / name
        with open(folder / "history.csv", newline="") as file:
            history = list(csv.DictReader(file))
        config = json.loads((folder / "config.json").read_text())
        metrics = json.loads((folder / "metrics.json").read_text())
        assert config["num_train"] + config["num_validation"] == 22
        assert float(row["last_mean"]) == pytest.approx(metrics["mean_average_precision"], abs=2e-3)
        for column, rule in (("clean", "validation_map"), ("observed", "validation_observed_map")):
            best = np.argmax([float(epoch[rule]) for epoch in history])
            assert float(row[f"{column}_mean"]) == float(history[best]["test_map"])
        assert row["images_seen"] == str(3 * config["num_train"])
        assert "epoch   3/3" in (tmp_path / "out" / f"{name}.log").read_text()
        assert (tmp_path / "out" / "saved_models" / name / "1" / "saved_model.pb").exists()
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'href="patch-en_cl-0/report.html"' in report
    assert 'href="resnet50-bce-0/report.html"' in report
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*")}
    capsys.readouterr()
    assert compare.main(asked) == 0
    assert capsys.readouterr().out.startswith("2 runs, 2 of them done\ntable ")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*")} == times

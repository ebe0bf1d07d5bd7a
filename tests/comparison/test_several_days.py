"""The program that joins runs of a grid that were made on several days or machines."""

import csv
import shutil

import pytest

from keras_patchpu import reporting
from keras_patchpu.comparison import Cell


@pytest.fixture
def program(import_benchmark):
    return import_benchmark("join_comparisons")


@pytest.fixture
def join(program, tmp_path):
    """Runs the program on a folder of runs, or on none; gives its exit code."""

    def run(*folders):
        files = {"--runs": "runs.json", "--table": "table.csv", "--plot": "plot.png"}
        options = [str(part) for o, name in files.items() for part in (o, tmp_path / name)]
        return program.main([*map(str, folders), *options])

    return run


@pytest.fixture
def write_day(write_run, tmp_path):
    """`write_day({("patch", "wn", 0): 20.0})`: a comparison that has ended, and its folder."""

    def write(maps, **config):
        cells = [Cell(*cell) for cell in maps]
        for cell, value in zip(cells, maps.values(), strict=True):
            write_run(cell, [value], frequent=value + 1, **config)
        reporting.write_grid(tmp_path, [*cells, Cell("patch", "role", 0)], "compare.py")
        return tmp_path

    return write


def read_table(path):
    with open(path, newline="") as file:
        return {(row["model"], row["loss"]): row for row in csv.DictReader(file)}


def test_of_runs_that_are_gone(join, write_day, tmp_path, capsys):
    first = {("patch", "wn", 0): 20.0, ("patch", "an", 0): 10.0}
    assert join(write_day(first)) == 0
    assert "?" in capsys.readouterr().out  # one seed says nothing
    for loss in ("wn", "an"):
        shutil.rmtree(tmp_path / f"patch-{loss}-0")

    second = {("patch", "wn", 1): 20.5, ("patch", "an", 1): 11.0, ("resnet50", "an", 0): 5.0}
    assert join(write_day(second)) == 0
    assert "**+9.8**" in capsys.readouterr().out  # 20.25 less 10.5, by far more than the spread
    table = read_table(tmp_path / "table.csv")
    found = {pair: (row["last_mean"], row["seeds"]) for pair, row in table.items()}
    assert found == {
        ("patch", "wn"): ("20.250", "2"),
        ("patch", "an"): ("10.500", "2"),
        ("resnet50", "an"): ("5.000", "1"),
    }
    assert table["patch", "an"]["last_deviation"] == "0.707"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")

    before = (tmp_path / "runs.json").read_text(), (tmp_path / "table.csv").read_text()
    assert join(tmp_path) == join() == 0  # with the same runs once more, and with none
    assert before == ((tmp_path / "runs.json").read_text(), (tmp_path / "table.csv").read_text())


def test_other_configurations_are_refused(join, write_day, tmp_path, capsys):
    assert join(write_day({("patch", "wn", 0): 20.0})) == 0
    before = (tmp_path / "runs.json").read_text()
    assert join(write_day({("patch", "wn", 1): 20.0}, image_size=320)) == 2
    assert "patch-wn-1 has another image_size than patch wn, seed 0" in capsys.readouterr().err
    assert (tmp_path / "runs.json").read_text() == before


def test_options_are_those_of_a_loss(join, write_day, capsys):
    assert join(write_day({("patch", "wn", 0): 20.0}, loss_options={"theta": 0.1})) == 0
    assert join(write_day({("patch", "an", 0): 20.0})) == 0
    assert join(write_day({("patch", "wn", 1): 20.0}, loss_options={"theta": 0.2})) == 2
    assert "another loss_options than patch wn, seed 0" in capsys.readouterr().err


def test_a_table_that_cannot_be_written(join, write_day, tmp_path, capsys):
    (tmp_path / "table.csv").mkdir()
    assert join(write_day({("patch", "wn", 0): 20.0})) == 2
    assert "table.csv cannot be written" in capsys.readouterr().err


def test_nothing_has_ended(join, write_day, capsys):
    assert join(write_day({})) == 2
    assert capsys.readouterr().err == "join_comparisons: no run has ended\n"

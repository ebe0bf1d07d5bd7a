import copy
import json
import pathlib
import shlex

import pytest

RESULTS = pathlib.Path(__file__).parents[2] / "benchmarks" / "results"
HERE = RESULTS.parent


@pytest.fixture(scope="module")
def regression(import_benchmark):
    return import_benchmark("regression")


def recorded(regression):
    return {
        name: json.loads((RESULTS / f"{name}.json").read_text())
        for name in regression.RATIOS
        if (RESULTS / f"{name}.json").exists()
    }


def test_every_result_with_ratios_is_no_worse_than_itself(regression, capsys):
    results = recorded(regression)
    assert len(results) >= 3
    for name in results:
        file = str(RESULTS / f"{name}.json")
        assert regression.main([name, "--measured", file]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines and all(line.startswith("ok") for line in lines)


def test_a_slower_one_is_found(regression, tmp_path, capsys):
    result = recorded(regression)["batch_normalization"]
    file = tmp_path / "new.json"
    for factor, code in ((0.8, 0), (0.7, 1), (2.0, 0)):
        file.write_text(json.dumps({**result, "ratio": result["ratio"] * factor}))
        assert regression.main(["batch_normalization", "--measured", str(file)]) == code
    assert regression.main(["batch_normalization", "--measured", str(file)]) == 0
    capsys.readouterr()


def test_a_larger_and_a_missing_one_are_found(regression):
    result = recorded(regression)["serving"]
    before = regression.serving(result)
    larger = copy.deepcopy(result)
    larger["results"]["export"]["1"]["peak_mb"] *= 2
    assert regression.compare(before, regression.serving(larger), 0.25) == 2
    del larger["results"]["export"]["1"]
    assert regression.compare(before, regression.serving(larger), 0.25) == 4


def test_ratios_of_a_training_step(regression):
    over = {"plain": {"images_per_second": 2.0, "peak_mb": 0.5}}
    ratios = regression.train_step({"results": {"320": {"over_pytorch": over}}})
    assert list(ratios.values()) == [2.0, 2.0]


@pytest.mark.parametrize("content", ["", "[]", "{}", None])
def test_files_that_are_none(regression, content, tmp_path, capsys):
    file = tmp_path / "new.json"
    if content is not None:
        file.write_text(content)
    assert regression.main(["serving", "--measured", str(file)]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "new.json" in errors


def test_it_measures_by_the_recorded_command(regression, tmp_path, monkeypatch, capsys):
    # A result whose command is a script of ours: it writes what it was told.
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "out, data = sys.argv[2], sys.argv[4]\n"
        "json.dump({'ratio': float(data)}, open(out, 'w'))\n"
    )
    command = shlex.join([str(script), "--out", "results/x.json", "--data", "1.0"])
    (tmp_path / "batch_normalization.json").write_text(
        json.dumps({"command": command, "ratio": 1.5})
    )
    monkeypatch.setattr(regression, "RESULTS", tmp_path)
    assert regression.main(["batch_normalization"]) == 1
    assert "1.5, now 1\n" in capsys.readouterr().out
    assert regression.main(["batch_normalization", "--data", "1.4"]) == 0
    script.write_text("import sys; sys.exit(3)")
    assert regression.main(["batch_normalization"]) == 2
    assert "failed" in capsys.readouterr().err


def test_the_table_names_every_result():
    table = (HERE / "README.md").read_text()
    for file in RESULTS.iterdir():
        assert f"`{file.name}`" in table, f"{file.name}: by which command?"

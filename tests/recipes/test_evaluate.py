"""`recipes/evaluate.py` prints the table of the run's end, from the saved model."""

import json
import shutil

import pytest

from keras_patchpu import data


def table_of(finished):
    return finished.printed[finished.printed.index("label ") : finished.printed.index("run   ")]


@pytest.fixture
def one_line(evaluate_recipe, capfd):
    """Runs the recipe with bad input and gives its one line on standard error."""

    def run(*arguments):
        assert evaluate_recipe.main([str(argument) for argument in arguments]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1 and printed.err.startswith("evaluate: "), printed.err
        return printed.err

    return run


def test_the_same_table(evaluate_recipe, finished, voc, capfd):
    assert evaluate_recipe.main([str(finished.out), "--data", str(voc)]) == 0
    printed = capfd.readouterr()
    assert printed.out == table_of(finished) and printed.err == ""


def test_the_same_numbers(evaluate_recipe, finished, voc, capfd):
    assert evaluate_recipe.main([str(finished.out), "--data", str(voc), "--json"]) == 0
    metrics = json.loads((finished.out / "metrics.json").read_text())
    printed = json.loads(capfd.readouterr().out)
    assert printed == {name: metrics[name] for name in printed}


@pytest.mark.slow
def test_as_a_process(start_process, finished, voc, tmp_path):
    process = start_process([finished.out, "--data", voc], tmp_path, recipe="evaluate.py")
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert printed == table_of(finished)


def test_a_directory_that_is_not_a_run(one_line, voc, tmp_path):
    assert "not the directory of a training run" in one_line(tmp_path, "--data", voc)
    assert "nowhere" in one_line(tmp_path / "nowhere", "--data", voc)


def test_a_configuration_of_something_else(one_line, voc, tmp_path):
    (tmp_path / "config.json").write_text('{"editor": "ed"}')
    assert "config.json" in one_line(tmp_path, "--data", voc)


def test_a_run_that_has_not_ended(one_line, finished, voc, tmp_path):
    shutil.copy(finished.out / "config.json", tmp_path)
    message = one_line(tmp_path, "--data", voc)
    assert "model.keras" in message and "--resume" in message


def test_a_cut_off_model(one_line, finished, voc, tmp_path):
    shutil.copy(finished.out / "config.json", tmp_path)
    content = (finished.out / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(content[: len(content) // 2])
    assert "model.keras" in one_line(tmp_path, "--data", voc)


def test_missing_data(one_line, finished, tmp_path):
    assert "no such folder" in one_line(finished.out, "--data", tmp_path / "nowhere")


def test_other_labels(one_line, finished, monkeypatch):
    scenes = data.read_digits("test", num_examples=2)
    monkeypatch.setattr(data, "read_source", lambda source, seed, splits: (scenes,))
    message = one_line(finished.out, "--data", "digits")
    assert "VOC2012" in message and "digits" in message and "--data" in message

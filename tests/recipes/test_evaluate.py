"""`recipes/evaluate.py` prints the table of the run's end, from the saved model."""

import functools
import json
import math
import pathlib
import shutil

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score

from keras_patchpu import PatchClassifier, data, training


def table_of(finished):
    return finished.printed[finished.printed.index("label ") : finished.printed.index("run   ")]


@pytest.fixture
def one_line(evaluate_recipe, one_line_of):
    """Runs the recipe with bad input and gives its one line on standard error."""
    return functools.partial(one_line_of, evaluate_recipe)


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


@pytest.fixture
def make_run(tmp_path, voc):
    """A function that writes a run with a model whose scores differ, on the small VOC."""

    def make(num_train, num_validation):
        keras.utils.set_random_seed(0)
        model = PatchClassifier(20, 64, patch_size=32, num_levels=2, embedding_dim=8)
        for variable in model.trainable_variables:
            if variable.path.endswith("patch_embedder/dense/kernel"):
                variable.assign(2e6 * variable)
        run = tmp_path / "run"
        run.mkdir()
        config = {
            **{"image_size": 64, "patch_size": 32, "num_levels": 2, "data": "VOC2012", "seed": 7},
            **{"num_train": num_train, "num_validation": num_validation},
            "label_names": list(data.VOC_LABELS),
        }
        (run / "config.json").write_text(json.dumps(config))
        model.save(run / "model.keras")
        return run, model

    return make


def check_thresholds(run, model, examples, split):
    """Each threshold reaches the F1 that the file says, and no score would reach more."""
    thresholds = training.Thresholds.read(training.RunDirectory(run))
    assert (thresholds.data, thresholds.split) == ("VOC2012", split)
    assert thresholds.num_images == len(examples)
    images = data.load_images(examples, 64, "stretch", keep=True, progress=False)
    scores = 1 / (1 + np.exp(-model.predict(images, verbose=0)["logits"].astype("float64")))
    checked = 0
    for column, name in enumerate(examples.label_names):
        known = examples.labels[:, column] >= 0
        truth, score = examples.labels[known, column] == 1, scores[known, column]
        if not truth.any():
            assert math.isnan(thresholds.values[name])
            continue
        reached = f1_score(truth, score >= thresholds.values[name])
        assert thresholds.f1[name] == pytest.approx(reached, abs=1e-6)
        # Scores of this model and of that in the file differ by rounding.
        best = max(f1_score(truth, score >= other - 1e-6) for other in score)
        assert reached == pytest.approx(best)
        checked += 1
    assert checked >= 2


def test_calibrate_on_what_was_held_out(evaluate_recipe, make_run, voc, capfd):
    train = data.drop_unlabelled(data.read_voc(voc, "train"))
    held_out = data.held_out(train, 7, 0.4)
    run, model = make_run(int((~held_out).sum()), int(held_out.sum()))
    assert evaluate_recipe.main([str(run), "--data", str(voc), "--calibrate"]) == 0
    printed = capfd.readouterr()
    assert printed.out.startswith("label ")
    assert printed.err.count("\n") == 1 and "thresholds.json" in printed.err
    assert f"the {held_out.sum()} validation images of VOC2012;" in printed.err
    validation = train.select(np.flatnonzero(held_out))
    check_thresholds(run, model, validation, "validation")


def test_calibrate_on_the_test_split_where_nothing_was_held_out(
    evaluate_recipe, make_run, voc, capfd
):
    run, model = make_run(22, 0)
    assert evaluate_recipe.main([str(run), "--data", str(voc), "--calibrate", "--json"]) == 0
    printed = capfd.readouterr()
    json.loads(printed.out)
    assert "10 val images of VOC2012, which the run is tested on" in printed.err
    check_thresholds(run, model, data.read_voc(voc, "val"), "val")


def test_what_cannot_be_calibrated_on(one_line, make_run, voc, tmp_path):
    run, _ = make_run(40, 10)
    message = one_line(run, "--data", voc, "--calibrate")
    assert "10 of 50 images" in message and "22" in message
    pictures = voc / "VOC2012" / "JPEGImages"
    names = sorted(path.name for path in pictures.iterdir())
    rows = [f"{name},{label}" for name, label in zip(names, data.VOC_LABELS, strict=False)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["file,label", *rows]))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "test_split": "train"}))
    message = one_line(run, "--images", pictures, "--labels", labels, "--calibrate")
    assert "nobody has said which labels are absent" in message
    assert not pathlib.Path(run, "thresholds.json").exists()

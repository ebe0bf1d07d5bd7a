"""`recipes/train_voc.py` from start to end: what it prints, what it leaves, and what it takes."""

import csv
import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score

from keras_patchpu import data, losses, training


def test_it_says_what_it_will_do(finished):
    head = finished.printed[: finished.printed.index("epoch   1/4")]
    for words in (
        "VOC2012: 22 training and 10 test images, 20 labels, 1.50 an image",
        "train has 22 of its 5717 images and val has 10 of its 5823 images",
        "wn, which sees one observed positive an image (uniform draw)",
        "5 patches of 32 pixels in 2 levels of 64 pixels, 218,050 trainable parameters",
        "4 epochs of adam in batches of 8",
        "seed 0",
        "CPU cores",
        str(finished.out),
    ):
        assert words in head


def test_it_prints_a_line_an_epoch(finished):
    lines = [line for line in finished.printed.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 4
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch   {number}/4  loss ")
        assert "test mAP" in line and "images/s" in line and line.endswith(" left")


def test_it_ends_with_the_table_and_what_to_do_next(finished, voc):
    lines = finished.printed.splitlines()
    # The second mAP is over the labels that are in the test images.
    assert [line.split()[0] for line in lines[-28:-6]] == [*data.VOC_LABELS, "mAP", "mAP"]
    assert lines[-6:-3] == [
        f"run       {finished.out}",
        f"serve     {finished.saved_models}/run/1",
        f"evaluate  python recipes/evaluate.py {finished.out} --data {voc}",
    ]
    assert lines[-3].startswith("server    docker run ")
    assert lines[-2].startswith("ask       python recipes/query.py PICTURE --url http://")
    assert lines[-1] == f"report    {finished.out}/report.html"


def test_it_leaves_a_run_directory(finished):
    assert {path.name for path in finished.out.iterdir()} == {
        ".lock",
        "checkpoints",
        "config.json",
        "history.csv",
        "metrics.json",
        "model.keras",
        "observed.csv",
        "report.html",
        "tensorboard",
        "weak_negatives.json",
    }
    checkpoints = {path.name for path in (finished.out / "checkpoints").iterdir()}
    assert checkpoints == {"epoch-0003.keras", "epoch-0004.keras"}
    config = json.loads((finished.out / "config.json").read_text())
    for name, value in {"loss": "wn", "seed": 0, "image_size": 64, "epochs": 4}.items():
        assert config[name] == value


def test_the_history(finished):
    with open(finished.out / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert all(float(row["images_per_second"]) > 0 and float(row["seconds"]) > 0 for row in rows)


def test_the_weak_negatives_of_each_epoch(finished):
    record = json.loads((finished.out / "weak_negatives.json").read_text())
    assert record["num_images"] == 22  # all of them
    assert [row["epoch"] for row in record["epochs"]] == [1, 2, 3, 4]
    for row in record["epochs"]:
        # Of 20 labels one an image is observed; a half of the images has another positive.
        assert row["unobserved"] == 22 * 19 and row["absent"] == 22 * 19 - 11
        assert list(row["labels"]) == list(data.VOC_LABELS)


def test_tensorboard_has_the_history(finished):
    found = {}
    for file in (finished.out / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found[value.tag, event.step] = tf.make_ndarray(value.tensor)
    with open(finished.out / "history.csv", newline="") as file:
        for row in csv.DictReader(file):
            for name in ("loss", "test_map", "images_per_second"):
                assert found[name, int(row["epoch"])] == pytest.approx(float(row[name]), rel=1e-5)
    record = json.loads((finished.out / "weak_negatives.json").read_text())
    for row in record["epochs"]:
        for name in ("precision", "recall"):
            tag = f"weak_negatives/{name}"
            assert found[tag, row["epoch"]] == pytest.approx(row[name], rel=1e-5)
    for kind in ("pictures/", "pr_curves/"):
        assert {step for tag, step in found if tag.startswith(kind)} == {1, 2, 3, 4}


def test_the_metrics_are_those_of_the_saved_model(finished, voc):
    metrics = json.loads((finished.out / "metrics.json").read_text())
    model = keras.models.load_model(finished.out / "model.keras")
    test = data.read_voc(voc, "val")
    scores = model.predict(data.load_images(test, 64), verbose=0)["logits"]
    for column, name in enumerate(data.VOC_LABELS):
        truth = test.labels[:, column]
        assert metrics["labels"][name]["positives"] == truth.sum()
        expected = 100 * average_precision_score(truth, scores[:, column]) if truth.any() else 0.0
        assert metrics["labels"][name]["average_precision"] == pytest.approx(expected, abs=1e-3)
    assert metrics["labels"]["chair"]["positives"] == 0  # handled: it counts 0
    precisions = [label["average_precision"] for label in metrics["labels"].values()]
    assert metrics["mean_average_precision"] == pytest.approx(np.mean(precisions), abs=1e-3)
    assert metrics["saved_model"] == f"{finished.saved_models}/run/1"
    assert metrics["images_per_second"] > 0 and metrics["peak_memory_gb"] > 0


def test_the_saved_model_agrees_with_the_model(finished, voc):
    model = keras.models.load_model(finished.out / "model.keras")
    test = data.read_voc(voc, "val")
    encoded = [pathlib.Path(path).read_bytes() for path in test.images]
    loaded = tf.saved_model.load(str(finished.saved_models / "run" / "1"))
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(encoded))
    logits = model.predict(data.load_images(test, 64), verbose=0)["logits"].astype("float64")
    np.testing.assert_allclose(answer["scores"], 1 / (1 + np.exp(-logits)), atol=1e-6)
    best = [data.VOC_LABELS[column] for column in logits.argmax(axis=1)]
    assert [row[0].decode() for row in answer["labels"].numpy()] == best


def test_a_finished_run_is_resumed_to_the_same_end(
    train_voc, finished, small_run, assert_same_end, capsys, tmp_path
):
    shutil.copytree(finished.out, tmp_path / "run")
    shutil.copytree(finished.saved_models, tmp_path / "models")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    metrics["saved_model"] = str(tmp_path / "models" / "run" / "1")
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    exported = (tmp_path / "models" / "run" / "1" / "saved_model.pb").stat().st_mtime_ns

    assert train_voc.main(small_run(tmp_path / "run", tmp_path / "models", "--resume")) == 0
    assert_same_end(finished.out, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    assert [path.name for path in (tmp_path / "models" / "run").glob("[0-9]*")] == ["1"]
    after = (tmp_path / "models" / "run" / "1" / "saved_model.pb").stat().st_mtime_ns
    assert after == exported
    table = finished.printed[finished.printed.index("label ") : finished.printed.index("run   ")]
    printed = capsys.readouterr().out
    assert table in printed and f"{tmp_path}/models/run/1" in printed


@pytest.mark.parametrize("loss", [loss for loss in losses.LOSSES if loss != "wn"])
def test_every_loss_starts(train_voc, import_script, small_run, loss, tmp_path):
    options = train_voc.parse_arguments(small_run(tmp_path / "a", tmp_path, "--loss", loss))
    run, out = train_voc.data_set_training.plan(options)
    model = training.make_model(run)
    described = import_script("recipes", "training_log").describe(run, out, model)
    assert ("all labels" in described) == (loss in ("bce", "focal", "asl"))
    # The estimates of ROLE, 22 x 20, are trained but no part of the classifier.
    assert "218,050 trainable" in described
    assert list(tmp_path.iterdir()) == []


def test_digits_need_no_option_but_their_name(train_voc, monkeypatch, tmp_path):
    scenes = [data.read_digits(split, num_examples=5) for split in ("train", "test")]
    monkeypatch.setattr(data, "read_source", lambda source, seed: tuple(scenes))
    run, out = train_voc.data_set_training.plan(
        train_voc.parse_arguments(["--data", "digits", "--loss", "an"])
    )
    assert out == "runs/digits-an-0"
    assert run.recipe == training.RECIPES["digits"]
    assert np.all(run.observed.sum(axis=1) == 1) and np.all(run.observed <= run.train.labels)


def test_options_take_the_place_of_the_recipe(train_voc, voc):
    options = ["--data", str(voc), "--image-size", "256", "--levels", "3", "--epochs", "2"]
    run, out = train_voc.data_set_training.plan(train_voc.parse_arguments(options))
    paper = training.RECIPES["paper"]
    assert run.recipe == dataclasses.replace(paper, image_size=256, num_levels=3, epochs=2)
    assert run.expected_positives == 1.5
    assert out == "runs/voc2012-wn-0"


def test_the_draw_of_another_run_is_repeated(train_voc, finished, small_run, tmp_path):
    def observed(*options):
        options = small_run(tmp_path / "a", tmp_path, *options)
        return train_voc.data_set_training.plan(train_voc.parse_arguments(options))[0].observed

    uniform = observed()
    np.testing.assert_array_equal(
        observed("--seed", "5", "--draw", str(finished.out / "observed.csv")), uniform
    )
    for others in (observed("--seed", "5"), observed("--draw", "area")):
        assert (others != uniform).any()


@pytest.mark.parametrize("recipe", ["train_voc", "evaluate_recipe"])
def test_help(recipe, request, capsys):
    with pytest.raises(SystemExit) as stopped:
        request.getfixturevalue(recipe).main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "--data" in printed and "python recipes/" in printed


@pytest.mark.long
def test_a_baseline_with_augmentation_from_start_to_end(train_voc, small_run, tmp_path, capsys):
    out, models = tmp_path / "run", tmp_path / "models"
    options = ["--model", "resnet50", "--loss", "en+scl", "--augment", "flip,crop,colour"]
    arguments = small_run(out, models, *options, "--epochs", "1")
    assert train_voc.main(arguments) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "resnet50 from random weights, 64 pixels, 2 x 2 places" in printed
    assert "flip+crop+colour" in printed and "mAP" in printed
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == "resnet50" and config["augment"] == ["flip", "crop", "colour"]
    assert (models / "run" / "1" / "saved_model.pb").exists()


def test_a_part_is_held_out_and_measured_after_each_epoch(train_voc, small_run, tmp_path):
    out = tmp_path / "run"
    arguments = small_run(out, tmp_path / "models", "--hold-out", "0.3", "--epochs", "2")
    run, _ = train_voc.data_set_training.plan(train_voc.parse_arguments(arguments))
    assert not set(run.train.keys) & set(run.validation.keys)
    assert len(run.train) + len(run.validation) == 22 and len(run.validation) > 1
    assert run.observed.shape == (len(run.train), 20)
    assert np.all(run.validation_observed.sum(axis=1) == 1)
    assert np.all(run.validation_observed <= run.validation.labels)

    assert train_voc.main(arguments) == 0
    again = train_voc.parse_arguments([*arguments, "--draw", str(out / "observed.csv")])
    repeated, _ = train_voc.data_set_training.plan(again)
    np.testing.assert_array_equal(repeated.observed, run.observed)
    np.testing.assert_array_equal(repeated.validation_observed, run.validation_observed)
    with open(out / "history.csv", newline="") as file:
        row = list(csv.DictReader(file))[-1]
    model = keras.models.load_model(out / "model.keras")
    logits = model.predict(data.load_images(run.validation, 64), verbose=0)["logits"]
    for column, truth in (
        ("validation_map", run.validation.labels),
        ("validation_observed_map", run.validation_observed),
    ):
        precisions = [
            average_precision_score(truth[:, i], logits[:, i]) if truth[:, i].any() else 0
            for i in range(20)
        ]
        assert float(row[column]) == pytest.approx(100 * np.mean(precisions), abs=2e-3)

"""The record that a run of `wn` keeps of its weak negatives.

That a resumed run has the rows of one that ran through is in `tests/recipes`.
"""

import json

import numpy as np
import pytest

from keras_patchpu.data import draw_single_positive, load_images, read_digits
from keras_patchpu.errors import InputError
from keras_patchpu.training import Recipe, Run, RunDirectory, make_model, weak_negative_log
from keras_patchpu.training.weak_negative_log import WeakNegativeLog, sample_rows

# A batch of 2 and one of 1 for the 3 images of the sample.
RECIPE = Recipe(image_size=64, patch_size=32, num_levels=2, embedding_dim=8, batch_size=2)


@pytest.fixture(autouse=True)
def three_images(monkeypatch):
    monkeypatch.setattr(weak_negative_log, "NUM_IMAGES", 3)


@pytest.fixture(scope="module")
def run():
    train = read_digits("train", num_examples=7)
    observed = draw_single_positive(train.labels, seed=0, keys=train.keys)
    test = read_digits("test", num_examples=1)
    return Run(train, test, observed, "uniform", "wn", RECIPE, seed=0, expected_positives=2.05)


@pytest.fixture(scope="module")
def model(run):
    return make_model(run)


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.start({})
    return directory


def written(directory):
    return json.loads((directory.path / "weak_negatives.json").read_text())


def cosines(embeddings, column):
    directions = embeddings.astype("float64")
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return directions @ directions[column]


@pytest.mark.parametrize("cached", [True, False])
def test_a_row_is_that_of_the_model_on_the_sample(run, model, directory, cached):
    images = load_images(run.train, 64, progress=False)
    log = WeakNegativeLog(run, directory, 0, images if cached else None)
    figures = log(model, 1)
    (row,) = written(directory)["epochs"]
    assert written(directory)["num_images"] == 3 and row["epoch"] == 1

    # One image at a time, with one observed label each.
    embeddings = model.predict(images, verbose=0)["image_embeddings"]
    weights, absent = [], []
    for image in sample_rows(run.train.keys):
        column = int(run.observed[image].argmax())
        others = np.arange(10) != column
        weights.extend(np.maximum(cosines(embeddings[image], column), 0)[others])
        absent.extend(run.train.labels[image, others] == 0)
    weights, absent = np.array(weights), np.array(absent)
    assert row["unobserved"] == 3 * 9 and row["absent"] == absent.sum()
    assert row["precision"] == pytest.approx(absent[weights > 0].mean(), abs=1e-5)
    assert row["recall"] == pytest.approx((weights[absent] > 0).mean(), abs=1e-5)
    assert row["weighted_recall"] == pytest.approx(weights[absent].mean(), abs=1e-5)
    assert list(row["labels"]) == list("0123456789")
    assert figures == {
        "weak_negatives/precision": row["precision"],
        "weak_negatives/recall": row["recall"],
    }


def test_the_threshold_is_that_of_the_loss(run, model, directory, monkeypatch):
    monkeypatch.setattr(model.loss, "theta", 2.0)  # no cosine is above it
    figures = WeakNegativeLog(run, directory, 0, None)(model, 1)
    (row,) = written(directory)["epochs"]
    assert row["weak_negatives"] == 0 and row["precision"] is None and row["recall"] == 0.0
    assert figures == {"weak_negatives/recall": 0.0}


def test_a_resumed_run_drops_the_rows_after_its_checkpoint(run, model, directory):
    log = WeakNegativeLog(run, directory, 0, None)
    for epoch in (1, 2, 3):
        log(model, epoch)
    before = written(directory)["epochs"]
    WeakNegativeLog(run, directory, 2, None)(model, 3)
    assert written(directory)["epochs"] == before
    # The start anew of a run that was killed in its first epoch.
    WeakNegativeLog(run, directory, 0, None)(model, 1)
    assert written(directory)["epochs"] == before[:1]


def test_the_sample_hangs_on_the_keys_alone(run):
    keys = run.train.keys
    rows = sample_rows(keys)
    assert len(rows) == 3 and list(rows) == sorted(rows)
    turned = sample_rows(keys[::-1])
    assert {keys[row] for row in rows} == {keys[::-1][row] for row in turned}
    assert list(sample_rows(keys[:2])) == [0, 1]


@pytest.mark.parametrize("content", ['{"epochs": [', "{}", '{"epochs": 3}', '{"epochs": [{}, 1]}'])
def test_a_damaged_file_is_named(run, directory, content):
    (directory.path / "weak_negatives.json").write_text(content)
    with pytest.raises(InputError, match="weak_negatives.json is damaged"):
        WeakNegativeLog(run, directory, 1, None)

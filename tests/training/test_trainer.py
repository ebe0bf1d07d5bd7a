"""What a run writes after training, what decides a run, and where its SavedModel goes.

Training itself, and being killed, is in `tests/recipes`.
"""

import json

import numpy as np
import pytest

from keras_patchpu.data import draw_single_positive, read_digits
from keras_patchpu.errors import InputError
from keras_patchpu.training import (
    Evaluation,
    Recipe,
    Run,
    RunDirectory,
    load_or_check,
    make_model,
    read_config,
    trainer,
)
from keras_patchpu.training.trainer import write_metrics

RECIPE = Recipe(image_size=64, patch_size=32, num_levels=2, embedding_dim=8)


@pytest.fixture(scope="module")
def scenes():
    return read_digits("train", num_examples=5), read_digits("test", num_examples=4)


@pytest.fixture
def make_run(scenes):
    """A function that makes a run on a few scenes: `make_run("wn")`."""

    def make(loss):
        train, test = scenes
        observed = draw_single_positive(train.labels, seed=0, keys=train.keys)
        return Run(train, test, observed, "uniform", loss, RECIPE, seed=0, expected_positives=2.05)

    return make


def row(epoch, speed):
    return {"epoch": epoch, "loss": 1.0, "test_map": 50.0, "images_per_second": speed, "seconds": 9}


@pytest.fixture
def directory(tmp_path):
    """A run that has been trained."""
    directory = RunDirectory(tmp_path / "runs" / "a")
    directory.start({})
    directory.write_history([row(1, 2.0), row(2, 40.0), row(3, 30.0)])
    return directory


def evaluation(precision=50.0):
    return Evaluation(("cat", "dog"), np.array([precision, 0.0]), np.array([3, 0]), 4, {})


def test_the_metrics(directory, tmp_path):
    target = write_metrics(directory, evaluation(), tmp_path / "models")
    assert target == tmp_path / "models" / "a" / "1"
    metrics = json.loads((directory.path / "metrics.json").read_text())
    assert metrics.pop("peak_memory_gb") > 0
    assert metrics == {
        **evaluation().as_dict(),
        "images_per_second": 30.0,  # the median: the first epoch holds the start
        "saved_model": str(target),
    }


@pytest.mark.parametrize("written", [False, True])
def test_a_resumed_run_finds_its_own_version_again(directory, tmp_path, written):
    target = write_metrics(directory, evaluation(), tmp_path / "models")
    before = (directory.path / "metrics.json").read_text()
    if written:
        target.mkdir(parents=True)
    assert write_metrics(directory, evaluation(), tmp_path / "models") == target
    assert (directory.path / "metrics.json").read_text() == before


def test_the_version_of_another_run_stays(directory, tmp_path):
    (tmp_path / "models" / "a" / "1").mkdir(parents=True)
    for _ in range(2):
        target = write_metrics(directory, evaluation(), tmp_path / "models")
        assert target == tmp_path / "models" / "a" / "2"
        target.mkdir(exist_ok=True)


def test_another_place_for_saved_models_gets_one_too(directory, tmp_path):
    write_metrics(directory, evaluation(), tmp_path / "models").mkdir(parents=True)
    elsewhere = write_metrics(directory, evaluation(), tmp_path / "elsewhere")
    assert elsewhere == tmp_path / "elsewhere" / "a" / "1"


def test_the_name_is_that_of_the_directory(directory, tmp_path, monkeypatch):
    monkeypatch.chdir(directory.path)
    target = write_metrics(RunDirectory("."), evaluation(), tmp_path / "models")
    assert target == tmp_path / "models" / "a" / "1"


def test_the_configuration_comes_back_from_its_file(make_run, tmp_path):
    run = make_run("epr")
    directory = RunDirectory(tmp_path / "a")
    directory.start(run.config())
    directory.check(run.config(), resume=True)  # what JSON makes of it is still the same
    recipe, config = read_config(directory)
    assert recipe == RECIPE
    assert config["data"] == "digits" and config["num_train"] == 5 and config["num_test"] == 4
    assert config["loss"] == "epr" and config["expected_positives"] == 2.05
    assert config["label_names"] == list("0123456789")


def test_the_configuration_of_something_else(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_json("config.json", {"image_size": 64})
    with pytest.raises(InputError, match="config.json is not that of a training run"):
        read_config(directory)


@pytest.mark.parametrize("loss", ["bce", "wn", "an", "epr", "role"])
def test_the_same_seed_starts_with_the_same_weights(make_run, loss):
    run = make_run(loss)
    model, again = make_model(run), make_model(run)
    assert model.loss.name == loss
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    if loss in ("epr", "role"):
        assert model.loss.expected_positives == 2.05
    if loss == "role":
        estimates = 1 / (1 + np.exp(-model.loss_state.logits.numpy()))
        np.testing.assert_allclose(estimates[run.observed == 1], 0.995, rtol=1e-5)


@pytest.mark.parametrize(("spare", "kept"), [(0, True), (-1, False)])
def test_without_a_cache_pictures_are_kept_where_all_of_them_fit(scenes, monkeypatch, spare, kept):
    monkeypatch.setattr(trainer, "MEMORY_BYTES", (5 + 4) * 64 * 64 * 3 + spare)
    pictures = load_or_check(list(scenes), RECIPE, cache=None)
    shapes = [None if split is None else split.shape for split in pictures]
    assert shapes == ([(5, 64, 64, 3), (4, 64, 64, 3)] if kept else [None, None])

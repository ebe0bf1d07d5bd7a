"""The last two checkpoints, and what becomes of damaged ones."""

import json
import shutil

import keras
import numpy as np
import pytest

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.training import Checkpoints, RunDirectory
from keras_patchpu.training.checkpoints import EpochSoFar, Position
from keras_patchpu.training.run_directory import load_model, save_model

SO_FAR = EpochSoFar(loss_sum=25.54636001586914, num_images=8.0, seconds=1.5)


def small_model(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


@pytest.fixture(scope="module")
def classifiers():
    """Two models with other weights."""
    models = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        models.append(
            PatchClassifier(2, image_size=32, patch_size=16, num_levels=1, embedding_dim=8)
        )
    return models


@pytest.fixture(scope="module")
def saved(classifiers, tmp_path_factory):
    """Checkpoints of both. Not to be written to."""
    checkpoints = Checkpoints(RunDirectory(tmp_path_factory.mktemp("saved")))
    for epochs, model in enumerate(classifiers, 1):
        checkpoints.save(model, Position(epochs))
    return checkpoints


@pytest.fixture
def checkpoints(saved, tmp_path):
    shutil.copytree(saved.folder, tmp_path / "run" / "checkpoints")
    return Checkpoints(RunDirectory(tmp_path / "run"))


@pytest.fixture
def empty(tmp_path):
    return Checkpoints(RunDirectory(tmp_path))


def names(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def assert_same(model, other):
    for one, another in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_without_any_a_run_begins(empty):
    assert empty.positions() == []
    assert empty.load() == (Position(0, 0), EpochSoFar(), None)


def test_the_last_two_are_kept(empty):
    for epochs in (1, 2, 3):
        empty.save(small_model(), Position(epochs))
    assert empty.positions() == [(3, 0), (2, 0)]
    assert names(empty) == ["epoch-0002.keras", "epoch-0003.keras"]


def test_within_an_epoch(empty):
    empty.save(small_model(), Position(9))
    empty.save(small_model(), Position(9, 130), SO_FAR)
    assert empty.positions() == [(9, 130), (9, 0)]
    assert json.loads((empty.folder / "epoch-0009-batch-000130.json").read_text()) == {
        "loss_sum": 25.54636001586914,
        "num_images": 8.0,
        "seconds": 1.5,
    }
    empty.save(small_model(), Position(10))
    assert empty.positions() == [(10, 0), (9, 130)]
    empty.save(small_model(), Position(11))
    assert names(empty) == ["epoch-0010.keras", "epoch-0011.keras"]


def test_what_a_killed_process_left_does_not_count(empty):
    empty.folder.mkdir()
    for name in ("epoch-0009.keras", "epoch-0010.keras", ".unfinished-epoch-0011.keras"):
        (empty.folder / name).write_bytes(b"x")
    assert empty.positions() == [(10, 0), (9, 0)]
    empty.save(small_model(), Position(11))
    assert names(empty) == ["epoch-0010.keras", "epoch-0011.keras"]


def test_a_full_disk_names_the_file_and_keeps_those_before(empty, files_of_at_most):
    for epochs in (1, 2):
        empty.save(small_model(), Position(epochs))
    with files_of_at_most(10_000), pytest.raises(InputError) as error:
        empty.save(small_model(units=5000), Position(3))
    assert "epoch-0003.keras" in str(error.value) and "--resume" in str(error.value)
    assert names(empty) == ["epoch-0001.keras", "epoch-0002.keras"]


def test_the_last_one_is_loaded(checkpoints, classifiers, capsys):
    position, so_far, model = checkpoints.load()
    assert position == (2, 0) and so_far == EpochSoFar()
    assert_same(model, classifiers[1])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", ["empty", "half", "last byte", "bit"])
def test_a_damaged_one_gives_way_to_the_one_before(checkpoints, classifiers, capsys, damage):
    path = checkpoints.path(Position(2))
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 4
    else:
        del content[{"empty": 0, "half": len(content) // 2, "last byte": -1}[damage] :]
    path.write_bytes(content)
    position, _, model = checkpoints.load()
    assert position == (1, 0)
    assert_same(model, classifiers[0])
    said = capsys.readouterr().err
    assert said.startswith(f"going on from epoch-0001.keras: {path} ") and said.count("\n") == 1
    # The next epoch takes its place.
    checkpoints.save(model, Position(2))
    assert checkpoints.load()[0] == (2, 0)


def test_no_bit_can_flip_unnoticed(saved, classifiers, tmp_path):
    content = saved.path(Position(2)).read_bytes()
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.integers(0, len(content), 30), [-150, -90, -60, -20]])
    path, noticed = tmp_path / "model.keras", 0
    for place, bit in zip(places, rng.integers(0, 8, len(places)), strict=True):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(bit)
        path.write_bytes(damaged)
        try:
            model = load_model(path)
        except InputError:
            noticed += 1
        else:
            assert_same(model, classifiers[1])  # such as a flip in the time of a file
    assert noticed >= 28


def test_all_of_them_damaged(checkpoints):
    for epochs in (1, 2):
        checkpoints.path(Position(epochs)).write_bytes(b"x")
    with pytest.raises(InputError, match="epoch-0002.keras cannot be loaded"):
        checkpoints.load()


@pytest.mark.parametrize("content", ["", "{}", '{"loss_sum": "x", "num_images": 8, "seconds": 1}'])
def test_what_is_known_of_the_epoch_is_damaged(checkpoints, classifiers, capsys, content):
    checkpoints.save(classifiers[0], Position(2, 3), SO_FAR)
    assert checkpoints.load()[:2] == ((2, 3), SO_FAR)
    (checkpoints.folder / "epoch-0002-batch-000003.json").write_text(content)
    position, so_far, model = checkpoints.load()
    assert position == (2, 0) and so_far == EpochSoFar()
    assert_same(model, classifiers[1])
    said = capsys.readouterr().err
    assert "epoch-0002-batch-000003.json" in said and said.count("\n") == 1


def test_a_model_of_something_else_is_no_checkpoint(tmp_path, classifiers):
    save_model(classifiers[0], tmp_path / "model.keras")
    assert Checkpoints(RunDirectory(tmp_path)).positions() == []

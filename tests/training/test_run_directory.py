"""The run directory: it starts, resumes and refuses; its files are whole or not there."""

import json

import h5py
import keras
import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory, load_model
from keras_patchpu.training.run_directory import save_model

CONFIG = {"data": "VOC2012", "loss": "wn", "learning_rate": 1e-3, "label_names": ["cat", "dog"]}


def row(epoch):
    return {"epoch": str(epoch), "loss": f"{1 / epoch:.6f}"}


def small_model(units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def message_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "runs" / "a")
    directory.start(CONFIG)
    return directory


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_run_starts_where_nothing_is(tmp_path, there, resume):
    path = tmp_path / "a"
    if there:
        path.mkdir()
    RunDirectory(path).check(CONFIG, resume)
    assert files_in(tmp_path) == []  # the check writes nothing
    RunDirectory(path).start(CONFIG)
    assert json.loads((path / "config.json").read_text()) == CONFIG


def test_a_run_that_exists_is_not_overwritten(directory):
    with pytest.raises(InputError) as error:
        directory.check(CONFIG, resume=False)
    assert str(directory.path) in message_of(error)
    assert "--resume" in message_of(error) and "--out" in message_of(error)


def test_a_run_resumes_with_the_same_configuration(directory):
    directory.check(CONFIG, resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("folder", [False, True])
def test_something_else_is_left_alone(tmp_path, folder, resume):
    path = tmp_path / "thesis"
    if folder:
        path.mkdir()
        (path / "chapter.tex").write_text("x")
    else:
        path.write_text("x")
    with pytest.raises(InputError) as error:
        RunDirectory(path).check(CONFIG, resume)
    assert str(path) in message_of(error) and "--out" in message_of(error)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"loss": "an"}, ("loss", "wn", "an")),
        ({"learning_rate": 1e-2}, ("learning_rate", "0.001", "0.01")),
        ({"label_names": ["dog", "cat"]}, ("label_names",)),
        ({"new_option": 7}, ("new_option", "7")),
    ],
)
def test_a_different_configuration_is_named(directory, changes, named):
    with pytest.raises(InputError) as error:
        directory.check(CONFIG | changes, resume=True)
    assert all(word in message_of(error) for word in named)


def test_an_option_that_is_gone_is_named(directory):
    with pytest.raises(InputError, match="learning_rate"):
        directory.check({k: v for k, v in CONFIG.items() if k != "learning_rate"}, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_killed_in_its_first_write_starts_anew(tmp_path, resume):
    (tmp_path / ".unfinished-config.json").write_text('{"da')
    directory = RunDirectory(tmp_path)
    directory.check(CONFIG, resume)
    directory.start(CONFIG)
    assert files_in(tmp_path) == ["config.json"]


@pytest.mark.parametrize("content", [b"", b'{"data": "VOC', b"[1, 2]", b"null", b"\xff\xfe\x00"])
def test_a_damaged_json_file_is_one_line(directory, content):
    (directory.path / "config.json").write_bytes(content)
    for read in (lambda: directory.check(CONFIG, True), lambda: directory.read_json("config.json")):
        with pytest.raises(InputError) as error:
            read()
        assert str(directory.path / "config.json") in message_of(error)


def test_a_directory_that_is_not_a_run(tmp_path):
    with pytest.raises(InputError, match="not the directory of a training run"):
        RunDirectory(tmp_path).read_json("config.json")


def test_a_full_disk_within_a_save_names_the_file(directory, files_of_at_most):
    before = files_in(directory.path)
    with files_of_at_most(10_000), pytest.raises(InputError) as error:
        directory.save_checkpoint(small_model(units=5000), 1)
    assert "epoch-0001.keras" in message_of(error) and "--resume" in message_of(error)
    assert files_in(directory.path) == before


def test_history_is_read_as_it_was_written(directory):
    assert directory.read_history() == []
    directory.write_history([row(1), row(2), row(3)])
    assert directory.read_history() == [row(1), row(2), row(3)]


def test_history_beyond_the_checkpoint_is_dropped(directory):
    directory.write_history([row(1), row(2), row(3)])
    assert directory.read_history(2) == [row(1), row(2)]
    assert directory.read_history(0) == []


def test_the_last_checkpoint(directory):
    assert directory.last_checkpoint() == (0, None)
    model = small_model()
    for epoch in (1, 2):
        directory.save_checkpoint(model, epoch)
    path = directory.path / "checkpoints" / "epoch-0002.keras"
    assert directory.last_checkpoint() == (2, path)
    assert files_in(directory.path) == ["checkpoints/epoch-0002.keras", "config.json"]


def test_of_two_checkpoints_the_later_one_counts(directory):
    # Killed after the new one was there and before the old one was gone; and in the next epoch.
    folder = directory.path / "checkpoints"
    folder.mkdir()
    for name in ("epoch-0009.keras", "epoch-0010.keras", ".unfinished-epoch-0011.keras"):
        (folder / name).write_bytes(b"x")
    assert directory.last_checkpoint() == (10, folder / "epoch-0010.keras")
    directory.save_checkpoint(small_model(), 11)
    assert files_in(folder) == ["epoch-0011.keras"]


def test_an_unfinished_checkpoint_does_not_count(directory):
    folder = directory.path / "checkpoints"
    folder.mkdir()
    (folder / ".unfinished-epoch-0001.keras").write_bytes(b"x")
    assert directory.last_checkpoint() == (0, None)


def test_a_model_is_loaded_as_it_was_saved(tmp_path):
    model = small_model()
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_missing_model_names_the_remedy(tmp_path):
    with pytest.raises(InputError, match="model.keras is not there.*--resume"):
        load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_model_is_one_line(tmp_path, kept):
    path = tmp_path / "model.keras"
    save_model(small_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError) as error:
        load_model(path)
    assert str(path) in message_of(error) and "--resume" in message_of(error)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras of what it does not find in the file
def test_a_damaged_model_is_one_line(tmp_path):
    path = tmp_path / "model.keras"
    save_model(small_model(), path)
    content = path.read_bytes()
    for start in range(0, len(content), len(content) // 25):
        path.write_bytes(content[:start] + b"\xff" * 200 + content[start + 200 :])
        try:
            load_model(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_file_of_another_kind_is_no_model(tmp_path):
    path = tmp_path / "model.keras"
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(path)

"""The run directory: it starts, resumes and refuses; its files are whole or not there."""

import json

import h5py
import numpy as np
import pytest
from peak_memory import run_apart

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory, load_model
from keras_patchpu.training.run_directory import save_model

CONFIG = {"data": "VOC2012", "loss": "wn", "learning_rate": 1e-3, "label_names": ["cat", "dog"]}

SAVE_AGAIN = """
import gc, json, sys
from peak_memory import forget_peak
from keras_patchpu import PatchClassifier, losses
from keras_patchpu.training.run_directory import save_model

model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
model.compile("adam", losses.get("wn"))
model.optimizer.build(model.trainable_variables)
held = []
for saves in (10, 30):
    for _ in range(saves):
        save_model(model, sys.argv[1])
    gc.collect()
    held.append(forget_peak())
print(json.dumps(held))
"""


def row(epoch):
    return {"epoch": str(epoch), "loss": f"{1 / epoch:.6f}"}


def classifier():
    return PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)


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


def test_history_is_read_as_it_was_written(directory):
    assert directory.read_history() == []
    directory.write_history([row(1), row(2), row(3)])
    assert directory.read_history() == [row(1), row(2), row(3)]


def test_history_beyond_the_checkpoint_is_dropped(directory):
    directory.write_history([row(1), row(2), row(3)])
    assert directory.read_history(2) == [row(1), row(2)]
    assert directory.read_history(0) == []


def test_a_model_is_loaded_as_it_was_saved(tmp_path):
    model = classifier()
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_saving_again_and_again_takes_no_memory(tmp_path):
    """Keras left 70 kB at each save."""
    after_10, after_40 = json.loads(run_apart(SAVE_AGAIN, tmp_path / "model.keras").stdout)
    assert after_40 - after_10 < 700  # kB


def test_a_missing_model_names_the_remedy(tmp_path):
    with pytest.raises(InputError, match="model.keras is not there.*--resume"):
        load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_model_is_one_line(tmp_path, kept):
    path = tmp_path / "model.keras"
    save_model(classifier(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError) as error:
        load_model(path)
    assert str(path) in message_of(error) and "--resume" in message_of(error)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras of what it does not find in the file
def test_a_damaged_model_is_one_line(tmp_path):
    path = tmp_path / "model.keras"
    save_model(classifier(), path)
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

"""A model asked in this process: the code that is exported, and the SavedModel itself."""

import concurrent.futures
import io
import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.serving import LocalModel, export, find_version
from keras_patchpu.serving.description import DESCRIPTION_FILE, Description
from keras_patchpu.serving.pictures import NO_PICTURE

NAMES = ["cat", "Hündin", "牛"]


def picture(seed, size=(50, 90)):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    # 100 pixels: 3 patches of 32 a side, and 4 pixels that none sees.
    model = PatchClassifier(3, image_size=100, patch_size=32, num_levels=2, embedding_dim=8)
    for variable in model.trainable_variables:  # so that the labels' scores differ
        if variable.path.endswith("patch_embedder/dense/kernel"):
            variable.assign(2e6 * variable)
    return model


@pytest.fixture(scope="module")
def saved_model(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export(model, folder, NAMES, resize="pad")
    return folder


def test_both_give_the_same_answers(model, saved_model):
    pictures = [picture(0), b"no picture", picture(1), picture(2, (300, 20))]
    here = LocalModel.of(model, NAMES, "pad").predict(pictures)
    for path in (saved_model, saved_model / "1"):
        there = LocalModel.load(path).predict(pictures)
        assert (
            [a.status for a in here] == [a.status for a in there] == ["ok", NO_PICTURE, "ok", "ok"]
        )
        for one, other in zip(here, there, strict=True):
            assert one.labels == other.labels
            for name in ("scores", "label_scores", "attention_maps"):
                first, second = getattr(one, name), getattr(other, name)
                assert first.shape == second.shape
                np.testing.assert_allclose(first, second, atol=1e-6)
    assert len({tuple(answer.scores.round(4)) for answer in here}) == 4


def test_the_description(model, saved_model):
    for local in (LocalModel.of(model, NAMES, "pad"), LocalModel.load(saved_model)):
        description = local.description
        assert (description.label_names, description.image_size) == (NAMES, 100)
        assert description.resize == "pad"
        expected = [[y, x, y + 32, x + 32] for y in (0, 32, 64) for x in (0, 32, 64)]
        assert description.cells == expected


def test_nothing_is_asked_about_nothing(model):
    assert LocalModel.of(model, NAMES, "pad").predict([]) == []


def test_libraries_say_nothing_of_a_broken_jpeg(model, capfd):
    file = io.BytesIO()
    Image.fromarray(np.zeros((99, 99, 3), "uint8")).save(file, "jpeg")
    answers = LocalModel.of(model, NAMES, "pad").predict([file.getvalue()[:-20]])
    assert [answer.status for answer in answers] == [NO_PICTURE]
    assert capfd.readouterr() == ("", "")


def test_the_newest_version(tmp_path):
    for name in ("2", "10", "best", ".unfinished-11", "12"):
        (tmp_path / name).mkdir()
        if name != "12":
            (tmp_path / name / "saved_model.pb").touch()
    assert find_version(tmp_path) == tmp_path / "10"
    assert find_version(tmp_path / "2") == tmp_path / "2"
    assert find_version(tmp_path / "12") is None
    assert find_version(tmp_path / "nowhere") is None


def test_no_model(tmp_path):
    with pytest.raises(InputError, match="holds no SavedModel"):
        LocalModel.load(tmp_path)


def test_a_model_of_another_program(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InputError, match=f"no {DESCRIPTION_FILE}.*export"):
        LocalModel.load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"image_size": 3}', '{"editor": "ed"}', "3"])
def test_a_damaged_description(tmp_path, content):
    (tmp_path / DESCRIPTION_FILE).parent.mkdir()
    (tmp_path / DESCRIPTION_FILE).write_text(content)
    with pytest.raises(InputError, match="keras_patchpu.json is damaged"):
        Description.read(tmp_path)


def test_a_cut_off_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01no graph")
    Description(NAMES, 8, "pad", [[0, 0, 8, 8]]).write(tmp_path)
    assert json.loads((tmp_path / DESCRIPTION_FILE).read_text())["label_names"] == NAMES
    with pytest.raises(InputError, match="cannot be loaded") as error:
        LocalModel.load(tmp_path)
    assert "\n" not in str(error.value)


def test_threads_may_ask_at_once(model, capfd):
    local = LocalModel.of(model, NAMES, "pad")
    expected = local.predict([picture(0)])[0].scores
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for (answer,) in pool.map(lambda _: local.predict([picture(0)]), range(60)):
            np.testing.assert_array_equal(answer.scores, expected)
    os.write(2, b"afterwards C++ is heard")
    assert capfd.readouterr() == ("", "afterwards C++ is heard")

"""`recipes/localize.py` on small runs: its table, its JSON and its one-line errors."""

import dataclasses
import functools
import json

import keras
import pytest

from keras_patchpu import PatchClassifier, data, training
from keras_patchpu.models import ResNet50Classifier, resnet_body


@pytest.fixture(scope="module")
def localize(import_script):
    """The module `recipes/localize.py`."""
    return import_script("recipes", "localize")


@pytest.fixture
def one_line(localize, one_line_of):
    """Runs the recipe with bad input and gives its one line on standard error."""
    return functools.partial(one_line_of, localize)


@pytest.fixture
def write_run(tmp_path):
    """Leaves what a training run on these test pictures would, and gives the directory."""

    def write(untrained, test, seed=0, name="patch"):
        recipe = dataclasses.replace(
            training.RECIPES["digits"], image_size=64, patch_size=32, batch_size=4, model=name
        )
        run = training.Run(test, test, test.labels, "given", "wn", recipe, seed, 1.5)
        directory = training.RunDirectory(tmp_path)
        directory.write_json("config.json", run.config())
        untrained.save(directory.model_path)
        return tmp_path

    return write


@pytest.fixture
def voc_run(write_run, voc):
    model = PatchClassifier(20, 64, patch_size=32, num_levels=2, embedding_dim=8)
    return write_run(model, *data.read_source(voc, 0, ["test"]))


@pytest.fixture
def scenes(monkeypatch):
    """What `--data digits` is read as for a run with seed 3."""
    scenes = data.read_digits("test", 16, seed=3)
    asked_for = {("digits", 3, ("test",)): (scenes,)}
    monkeypatch.setattr(
        data, "read_source", lambda source, seed, splits: asked_for[source, seed, tuple(splits)]
    )
    return scenes


@pytest.fixture
def digits_run(scenes, write_run):
    model = PatchClassifier(10, 64, patch_size=32, num_levels=2, embedding_dim=8)
    return write_run(model, scenes, seed=3)


def test_the_table_of_digits(localize, digits_run, scenes, capfd):
    assert localize.main([str(digits_run), "--data", "digits"]) == 0
    printed = capfd.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == ""
    # 15 pixels would be half a digit there.
    assert lines[0] == "attention maps on digits test, in percent; a hit is a point in a box"
    assert lines[1].split() == "label pointing centre random energy area pairs".split()
    assert [line.split()[0] for line in lines[2:13]] == [*scenes.label_names, "mean"]
    pairs = [*scenes.labels.sum(axis=0), scenes.labels.sum()]
    assert [int(line.split()[-1]) for line in lines[2:13]] == pairs


def test_the_numbers_of_digits(localize, digits_run, capfd):
    assert localize.main([str(digits_run), "--data", "digits", "--json", "--tolerance", "96"]) == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["tolerance"] == 96 and printed["num_pairs"] > 16
    # Nowhere in a scene of 96 pixels is further from a box of 28 or more.
    assert [printed["mean"][name] for name in ("hit", "centre_hit", "random_hit")] == [100] * 3
    assert 100 * (28 / 96) ** 2 <= printed["mean"]["area"] <= 100 * (44 / 96) ** 2


def test_voc(localize, voc_run, voc, capfd):
    assert localize.main([str(voc_run), "--data", str(voc)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("attention maps on VOC2012 val, in percent; a hit is ")
    assert lines[0].endswith("within 15 pixels of a box")
    pairs = {line.split()[0]: line.split()[-1] for line in lines[2:23]}
    # Ten pictures, every second with two objects; difficult chairs do not count.
    assert pairs["mean"] == "15" and pairs["chair"] == pairs["sheep"] == "0"
    assert sum(int(pairs[name]) for name in ("cat", "dog", "person")) == 15


@pytest.mark.parametrize("method", [None, "attention", "cam", "grad-cam"])
def test_a_resnet(localize, write_run, voc, monkeypatch, capfd, method):
    def body(include_top, weights, input_shape):
        images = keras.Input(input_shape)
        return keras.Model(images, keras.layers.Conv2D(3, 32, strides=32)(images))

    monkeypatch.setattr(resnet_body, "BODIES", {"resnet50": body})
    (test,) = data.read_source(voc, 0, ["test"])
    run = write_run(ResNet50Classifier(20, 64), test, name="resnet50")
    arguments = [str(run), "--data", str(voc), "--json"]
    assert localize.main(arguments + (["--method", method] if method else [])) == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["method"] == (method or "cam") and printed["num_pairs"] == 15


@pytest.mark.parametrize(
    ("method", "missing"), [("cam", "activation map"), ("grad-cam", "feature")]
)
def test_a_method_that_the_model_has_not(one_line, voc_run, voc, method, missing):
    message = one_line(voc_run, "--data", voc, "--method", method)
    assert missing in message and "use the method attention" in message


def test_data_without_boxes(one_line, voc_run, voc, monkeypatch):
    (test,) = data.read_source(voc, 0, ["test"])
    bare = dataclasses.replace(test, name="bare", boxes=(), box_labels=(), box_difficult=())
    monkeypatch.setattr(data, "read_source", lambda *asked: (bare,))
    message = one_line(voc_run, "--data", "somewhere")
    assert "bare val has no boxes" in message and "give data with boxes" in message


def test_other_labels(one_line, voc_run, monkeypatch):
    scenes = data.read_digits("test", num_examples=2)
    monkeypatch.setattr(data, "read_source", lambda *asked: (scenes,))
    message = one_line(voc_run, "--data", "digits")
    assert "VOC2012" in message and "digits" in message and "--data" in message


def test_a_directory_that_is_not_a_run(one_line, voc, tmp_path):
    assert "not the directory of a training run" in one_line(tmp_path, "--data", voc)


@pytest.mark.parametrize("tolerance", ["-1", "inf", "nan", "wide"])
def test_a_tolerance_that_is_none(localize, capfd, tolerance):
    with pytest.raises(SystemExit) as ended:
        localize.main(["run", f"--tolerance={tolerance}"])
    assert ended.value.code == 2
    assert tolerance in capfd.readouterr().err

"""Runs, models and pictures from strangers: each recipe refuses in one line, or shows no more."""

import dataclasses
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_patchpu import PatchClassifier, serving, training
from keras_patchpu.data import VOC_LABELS
from keras_patchpu.serving.description import DESCRIPTION_FILE

EVIL_NAME = "\x1b[2J\x1b]0;evil\x07a\nb\r.png"


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A run on VOC, untrained."""
    model = PatchClassifier(20, 64, patch_size=32, num_levels=2, embedding_dim=8)
    recipe = training.Recipe(image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    config = {**dataclasses.asdict(recipe), "data": "VOC2012", "seed": 0, "loss": "wn"}
    config |= {"num_train": 22, "num_test": 10, "label_names": list(VOC_LABELS)}
    directory = training.RunDirectory(tmp_path_factory.mktemp("honest"))
    directory.write_json("config.json", config)
    directory.write_json("metrics.json", {"peak_memory_gb": 1.0, "images_per_second": 1.0})
    columns = {"epoch": 1, "loss": 1.0, "images_per_second": 1.0, "seconds": 1.0}
    directory.write_history([columns])
    model.save(directory.model_path)
    return directory.path


@pytest.fixture
def run(honest, tmp_path):
    """A copy of it that can be written to."""
    return pathlib.Path(shutil.copytree(honest, tmp_path / "run"))


def edit_json(file, **changed):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


@pytest.fixture(params=["predict", "evaluate", "export", "localize", "report"])
def refuses(request, import_script, one_line_of, voc, tmp_path):
    """Calls a recipe with a run and gives its one line."""
    recipe = import_script("recipes", request.param)

    def refuses(run):
        more = {
            "predict": [voc / "VOC2012" / "JPEGImages"],
            "export": ["--saved-models", tmp_path / "saved"],
        }.get(request.param, ["--data", voc])
        message = one_line_of(recipe, run, *more)
        assert "Traceback" not in message and not (tmp_path / "saved").exists()
        return message

    return refuses


def test_a_model_with_code_in_it(refuses, run, tmp_path):
    layer = {"class_name": "__lambda__", "config": {"value": "4wAAAAAAAAA="}}
    config = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "evil", "function": layer},
        "registered_name": None,
    }
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "asks for keras.layers.Lambda, which no model of keras_patchpu has" in refuses(run)


RECORDS = {
    "labels that a terminal obeys": {"label_names": ["\x1b[2J", *VOC_LABELS[1:]]},
    "labels that are no list": {"label_names": "cat"},
    "labels that are numbers": {"label_names": list(range(20))},
    "fewer labels than the model has": {"label_names": ["cat", "dog"]},
    "a square of another size": {"image_size": 96},
    "a square beyond all bounds": {"image_size": 10**9},
    "levels beyond all bounds": {"num_levels": 10**18},
    "a size in words": {"image_size": "large"},
    "a resize that is none": {"resize": "../../etc"},
    "a seed that is a list": {"seed": [1]},
    "augmentation that is a number": {"augment": 3},
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_that_lies(refuses, run, case):
    edit_json(run / "config.json", **RECORDS[case])
    message = refuses(run)
    assert "config.json" in message or "labels of VOC2012" in message


def test_a_record_within_records(refuses, run):
    (run / "config.json").write_text('{"a":' * 100_000)
    assert "config.json is damaged" in refuses(run)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    model = PatchClassifier(3, 64, patch_size=32, num_levels=2, embedding_dim=8)
    return serving.export(model, tmp_path_factory.mktemp("saved"), ["=1+1", "<b>", "../../cat"])


@pytest.fixture
def pictures(tmp_path):
    """A folder with a picture under a name that moves the cursor, and a broken one."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / EVIL_NAME)
    (folder / f"broken{EVIL_NAME}").write_bytes(b"no picture")
    return folder


def test_names_do_not_reach_the_terminal(predict, saved_model, pictures, tmp_path, capfd):
    seen = tmp_path / "seen"
    assert predict.main([str(saved_model), str(pictures), "--overlay", str(seen)]) == 1
    printed = capfd.readouterr()
    for text in (printed.out, printed.err):
        (line,) = text.splitlines()
        assert "\\x1b[2J\\x1b]0;evil\\x07a\\nb\\r.png" in line
        assert all(char.isprintable() for char in line)
    # The overlay is where it should be, whatever the label is called.
    assert len(list(seen.iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "seen"}


def test_names_stay_as_they_are_in_data(predict, saved_model, pictures, tmp_path, capfd):
    """CSV and JSON are for programs, which find the file by its name."""
    file = tmp_path / "found.csv"
    arguments = [str(saved_model), str(pictures), "--json", "--csv", str(file)]
    assert predict.main(arguments) == 1
    names = [json.loads(line)["file"] for line in capfd.readouterr().out.splitlines()]
    assert names == sorted(str(path) for path in pictures.iterdir())
    assert "=1+1" in file.read_text(encoding="utf-8")


def test_a_graph_that_writes(predict, one_line_of, saved_model, pictures, tmp_path):
    """The recipe refuses a SavedModel as `LocalModel` does."""

    def answer(image_bytes):
        tf.io.write_file(str(tmp_path / "touched"), "written")
        return {"scores": tf.zeros((1, 3))}

    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    signature = tf.function(answer, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path / "evil"), signature)
    (tmp_path / "evil" / DESCRIPTION_FILE).parent.mkdir()
    shutil.copy(saved_model / DESCRIPTION_FILE, tmp_path / "evil" / DESCRIPTION_FILE)
    message = one_line_of(predict, tmp_path / "evil", pictures)
    assert "the operation WriteFile, which no exported model has" in message
    assert not (tmp_path / "touched").exists()


def test_a_bomb_among_pictures(predict, saved_model, tmp_path, capfd):
    """The others are answered; it gets a line."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "a.png")
    Image.new("1", (8000, 8000)).save(folder / "b.png")
    assert (folder / "b.png").stat().st_size < 20_000
    assert predict.main([str(saved_model), str(folder), "--overlay", str(tmp_path / "seen")]) == 1
    printed = capfd.readouterr()
    assert printed.out.startswith(f"{folder}/a.png ")
    assert printed.err == f"predict: {folder}/b.png: a picture of more than 50000000 pixels\n"
    assert np.asarray(Image.open(next((tmp_path / "seen").iterdir()))).size

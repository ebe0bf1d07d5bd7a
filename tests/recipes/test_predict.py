"""`recipes/predict.py` answers about pictures by a run or a SavedModel, without a server."""

import csv
import dataclasses
import functools
import json
import pathlib
import shutil
import struct
import types
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from keras_patchpu import PatchClassifier, localization, serving, training
from keras_patchpu.data import decode_and_resize
from keras_patchpu.overlay import draw_overlay
from keras_patchpu.serving.pictures import NO_PICTURE
from keras_patchpu.training import Thresholds

NAMES = ["cat", "chair", "Hündin", "person", "a/b 牛", "sheep"]
SAFE_NAMES = ["cat", "chair", "Hündin", "person", "a_b_牛", "sheep"]


@pytest.fixture
def photos(tmp_path):
    """A folder with `a.png`, `b.jpg` and `more/a.jpg`, a broken `c.jpg`, and no picture."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(["a.png", "b.jpg", "more/a.jpg"]):
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype="uint8")
        Image.fromarray(pixels).resize((90, 50)).save(folder / name)
    (folder / "c.jpg").write_bytes((folder / "b.jpg").read_bytes()[:-20])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module", params=["stretch"])
def finished(request, tmp_path_factory):
    """A run as training leaves it, of a model whose scores differ; `.saved_model` is its export."""
    keras.utils.set_random_seed(0)
    model = PatchClassifier(len(NAMES), 64, patch_size=32, num_levels=2, embedding_dim=8)
    for variable in model.trainable_variables:
        if variable.path.endswith("patch_embedder/dense/kernel"):
            variable.assign(2e6 * variable)
    out = tmp_path_factory.mktemp("run")
    recipe = training.Recipe(image_size=64, patch_size=32, num_levels=2, resize=request.param)
    config = {**dataclasses.asdict(recipe), "data": "own", "seed": 0, "label_names": NAMES}
    training.RunDirectory(out).write_json("config.json", config)
    model.save(out / "model.keras")
    folder = tmp_path_factory.mktemp("saved_models")
    saved_model = serving.export(model, folder, NAMES, resize=request.param)
    return types.SimpleNamespace(out=out, saved_model=saved_model, resize=request.param)


both_resizes = pytest.mark.parametrize("finished", ["stretch", "pad"], indirect=True)


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a run that can be written to."""
    return pathlib.Path(shutil.copytree(finished.out, tmp_path / "run"))


@pytest.fixture
def lines(predict, capsys):
    """Runs the recipe with `--json`; gives its lines as objects, and standard error."""

    def ask(*arguments, code):
        assert predict.main([*map(str, arguments), "--json"]) == code
        printed = capsys.readouterr()
        return [json.loads(line) for line in printed.out.splitlines()], printed.err

    return ask


def expected_outputs(finished, files):
    """Scores `(N, L)` and attention `(N, L, M)` by the Keras model itself."""
    model = training.load_model(finished.out / "model.keras")
    images = [decode_and_resize(f.read_bytes(), 64, finished.resize).numpy() for f in files]
    outputs = model.predict(np.stack(images), verbose=0)
    return 1 / (1 + np.exp(-outputs["logits"])), outputs["attention"], model


@both_resizes
def test_json(lines, finished, photos):
    found, errors = lines(finished.out, photos, code=1)
    names = ["a.png", "b.jpg", "c.jpg", "more/a.jpg"]
    assert [line["file"] for line in found] == [f"{photos}/{name}" for name in names]
    assert found.pop(2) == {"file": f"{photos}/c.jpg", "status": NO_PICTURE}
    assert errors == f"predict: {photos}/c.jpg: {NO_PICTURE}\n"
    files = [photos / name for name in names if name != "c.jpg"]
    scores, _, _ = expected_outputs(finished, files)
    assert np.ptp(scores, axis=0).max() > 1e-3 and np.diff(np.sort(scores)).min() > 1e-4
    for row, line in enumerate(found):
        assert list(line) == ["file", "status", "labels", "label_scores", "scores"]
        np.testing.assert_allclose(line["scores"], scores[row], atol=1e-5)
        order = np.argsort(-scores[row])[:5]
        assert line["labels"] == [NAMES[column] for column in order]
        np.testing.assert_allclose(line["label_scores"], scores[row][order], atol=1e-5)


@both_resizes
def test_a_saved_model_gives_the_same_answers(lines, finished, photos):
    by_run, errors = lines(finished.out, photos, "--top", 6, code=1)
    for path in (finished.saved_model, finished.saved_model.parent):
        by_saved_model, same_errors = lines(path, photos, "--top", 6, code=1)
        assert same_errors == errors and len(by_saved_model) == len(by_run) == 4
        for one, other in zip(by_run, by_saved_model, strict=True):
            assert (one["file"], one["status"]) == (other["file"], other["status"])
            assert one.get("labels") == other.get("labels")
            assert sorted(one.get("labels", NAMES)) == sorted(NAMES)
            np.testing.assert_allclose(one.get("scores", 0), other.get("scores", 0), atol=1e-5)


def test_the_table(predict, lines, finished, photos, capsys):
    (line,), _ = lines(finished.out, photos / "b.jpg", code=0)
    pairs = list(zip(line["labels"], line["label_scores"], strict=True))
    asked = [str(photos / "b.jpg"), "nowhere", str(photos / "more")]
    assert predict.main([str(finished.out), *asked, "--top", "2"]) == 1
    printed = capsys.readouterr()
    first, second = printed.out.splitlines()
    text = "  ".join(f"{label} {100 * score:.1f}%" for label, score in pairs[:2])
    assert first == f"{photos}/b.jpg       {text}"
    assert second.startswith(f"{photos}/more/a.jpg  ") and second.count("%") == 2
    assert printed.err == "predict: nowhere: No such file or directory\n"


def test_csv(predict, finished, photos, tmp_path):
    file = tmp_path / "out.csv"
    arguments = [str(finished.out), str(photos), str(tmp_path / "none.png"), "--top", "2"]
    assert predict.main([*arguments, "--csv", str(file)]) == 1
    with open(file, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["file", "status", "label", "score"]
    names = ["a.png", "a.png", "b.jpg", "b.jpg", "c.jpg", "more/a.jpg", "more/a.jpg"]
    expected = [f"{photos}/{name}" for name in names] + [f"{tmp_path}/none.png"]
    assert [row["file"] for row in rows] == expected
    bad = [rows.pop(4), rows.pop()]
    assert [row["status"] for row in bad] == [NO_PICTURE, "No such file or directory"]
    assert {row["label"] + row["score"] for row in bad} == {""}
    scores, _, _ = expected_outputs(finished, [photos / "a.png"])
    for row, column in zip(rows, np.argsort(-scores[0])[:2], strict=False):
        assert row["label"] == NAMES[column] and row["status"] == "ok"
        assert float(row["score"]) == pytest.approx(scores[0, column], abs=1e-5)


@both_resizes
@pytest.mark.parametrize("by", ["out", "saved_model"])
def test_overlays(predict, finished, photos, tmp_path, by):
    (photos / "c.jpg").unlink()
    seen = tmp_path / "new" / "seen"
    arguments = [str(getattr(finished, by)), str(photos), "--overlay", str(seen), "--top", "2"]
    assert predict.main(arguments) == 0
    files = [photos / name for name in ("a.png", "b.jpg", "more/a.jpg")]
    scores, attention, model = expected_outputs(finished, files)
    names = set()
    for row, (file, stem) in enumerate(zip(files, ["a", "b", "a-2"], strict=True)):
        for rank, column in enumerate(np.argsort(-scores[row])[:2], 1):
            name = f"{stem}.{rank}-{SAFE_NAMES[column]}.png"
            names.add(name)
            square = localization.dense_maps(attention[row, column], model.attention_boxes, 64)
            placed = localization.maps_in_picture(square, 50, 90, finished.resize)
            with Image.open(file) as picture, Image.open(seen / name) as written:
                expected = draw_overlay(picture, placed, NAMES[column], scores[row, column])
                difference = np.asarray(written).astype(int) - np.asarray(expected)
            # The edge of a patch may fall on the one or the other side of a pixel's middle.
            assert (abs(difference).max(axis=-1) > 1).mean() < 0.03
    assert {path.name for path in seen.iterdir()} == names and len(names) == 6


def test_of_labels_beyond_the_fifth_there_is_no_map(predict, finished, photos, tmp_path):
    seen = tmp_path / "seen"
    arguments = [str(finished.out), str(photos / "a.png"), "--overlay", str(seen), "--top", "6"]
    assert predict.main(arguments) == 0
    assert len(list(seen.iterdir())) == 5


def test_an_overlay_is_of_the_best_label(predict, finished, photos, tmp_path):
    arguments = [str(finished.out), str(photos / "a.png"), "--overlay", str(tmp_path / "seen")]
    assert predict.main(arguments) == 0
    (written,) = (tmp_path / "seen").iterdir()
    assert written.name.startswith("a.1-")


def test_a_threshold(predict, lines, finished, photos, tmp_path, capsys):
    (line,), _ = lines(finished.out, photos / "a.png", code=0)
    middle = float(np.mean(line["label_scores"][1:3]))
    seen = tmp_path / "seen"
    options = ["--threshold", middle, "--overlay", seen]
    (above,), errors = lines(finished.out, photos / "a.png", *options, code=0)
    assert above["labels"] == line["labels"][:2] and above["scores"] == line["scores"]
    assert len(list(seen.iterdir())) == 2
    assert errors.count("\n") == 1 and "not calibrated" in errors
    (above,), _ = lines(finished.out, photos / "a.png", *options, "--top", 1, code=0)
    assert above["labels"] == line["labels"][:1]
    file = tmp_path / "none.csv"
    arguments = [str(finished.out), str(photos / "a.png"), "--threshold", "1", "--csv", str(file)]
    assert predict.main(arguments) == 0
    assert capsys.readouterr().out == f"{photos}/a.png  -\n"
    assert file.read_text().splitlines()[1] == f"{photos}/a.png,ok,,"


def write_thresholds(run, values, split):
    counts = dict.fromkeys(values, 1)
    Thresholds(values, values, counts, "VOC2012", split, 7).write(training.RunDirectory(run))


def test_calibrated_thresholds(lines, run, photos):
    (line,), _ = lines(run, photos / "a.png", code=0)
    scores = dict(zip(NAMES, line["scores"], strict=True))
    # The best is not enough, the second and the last are; of the third nothing is known.
    ranked = sorted(NAMES, key=scores.get, reverse=True)
    values = {name: scores[name] + 1e-4 for name in NAMES}
    values |= {name: scores[name] - 1e-4 for name in (ranked[1], ranked[-1])}
    write_thresholds(run, values | {ranked[2]: float("nan")}, "validation")
    (found,), errors = lines(run, photos / "a.png", "--threshold", "calibrated", code=0)
    assert found["labels"] == [ranked[1], ranked[-1]]
    first, second = errors.splitlines()
    assert first == "predict: thresholds from the 7 validation images of VOC2012"
    assert second.startswith("predict: never shown") and second.endswith(f": {ranked[2]}")
    write_thresholds(run, values, "val")
    _, errors = lines(run, photos / "a.png", "--threshold", "calibrated", code=0)
    assert "7 val images of VOC2012, which the run is tested on" in errors


def test_labels_without_a_map(predict, run, photos, tmp_path, capsys):
    assert predict.main([str(run), str(photos / "a.png"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    values = dict.fromkeys(NAMES, 1.0) | {NAMES[int(np.argmin(scores))]: 0.0}
    write_thresholds(run, values, "validation")
    arguments = ["--threshold", "calibrated", "--overlay", str(tmp_path / "seen")]
    assert predict.main([str(run), str(photos / "a.png"), *arguments]) == 0
    said = f"predict: {photos}/a.png: no overlay: there are maps of the 5 best labels alone"
    assert capsys.readouterr().err.splitlines()[-1] == said
    assert list((tmp_path / "seen").iterdir()) == []


def test_what_only_pil_cannot_read(predict, finished, photos, tmp_path, capsys):
    file, seen = tmp_path / "odd.png", tmp_path / "seen"
    content = (photos / "a.png").read_bytes()
    # A profile without a name, which PIL reads to its end and beyond (IndexError).
    profile = b"iCCP" + b"\1\0"
    chunk = struct.pack(">I", 2) + profile + struct.pack(">I", zlib.crc32(profile))
    file.write_bytes(content[:-12] + chunk + content[-12:])
    assert predict.main([str(finished.out), str(file), "--overlay", str(seen)]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{file}  ") and "%" in printed.out
    assert printed.err.startswith(f"predict: {file}: no overlay: ")


@pytest.fixture
def fails(predict, one_line_of):
    """Runs the recipe with what stops it, and gives its one line on standard error."""
    return functools.partial(one_line_of, predict)


def test_what_stops_all(fails, finished, run, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no pictures" in fails(finished.out, tmp_path / "empty")
    for model in ("nowhere", "empty"):
        message = fails(tmp_path / model, photos)
        assert "neither the directory of a training run" in message and model in message
    assert "out.csv" in fails(finished.out, photos, "--csv", tmp_path / "nowhere" / "out.csv")
    file = finished.out / "model.keras"
    assert "model.keras" in fails(finished.out, photos / "a.png", "--overlay", file)
    message = fails(finished.out, photos, "--overlay", photos / "more" / "seen")
    assert "is in" in message and not (photos / "more" / "seen").exists()
    for model in (run, finished.saved_model):
        message = fails(model, photos, "--threshold", "calibrated")
        assert "has no thresholds.json" in message and "--calibrate" in message
    write_thresholds(run, {"sheep": 0.5}, "validation")
    message = fails(run, photos, "--threshold", "calibrated")
    assert "thresholds.json is for other labels" in message
    (run / "model.keras").unlink()
    assert "model.keras" in fails(run, photos)


@pytest.mark.parametrize(
    "option", ["--top 0", "--threshold 1.5", "--threshold nan", "--threshold best"]
)
def test_bad_options(predict, capsys, option):
    with pytest.raises(SystemExit) as stop:
        predict.main(["run", "a.png", *option.split()])
    assert stop.value.code == 2
    assert option.split()[0] in capsys.readouterr().err


@pytest.mark.slow
def test_the_process(start_process, finished, photos, tmp_path):
    """A process of its own, so that all of its output is seen."""
    process = start_process([finished.out, photos, "nowhere"], tmp_path, "predict.py")
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert printed.count("\n") == 3 and printed.count("%") == 15
    bad = [f"{photos}/c.jpg: {NO_PICTURE}", "nowhere: No such file or directory"]
    assert errors == "".join(f"predict: {line}\n" for line in bad)


@pytest.mark.slow
def test_nobody_reads_on(start_process, finished, photos, tmp_path):
    process = start_process([finished.out, photos / "a.png"], tmp_path, "predict.py")
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait(timeout=120) == 1

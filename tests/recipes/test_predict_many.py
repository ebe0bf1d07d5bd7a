"""`recipes/predict_many.py`: each picture once, by however many processes."""

import csv
import itertools
import shutil
import signal
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_patchpu import PatchClassifier, serving
from keras_patchpu.serving.pictures import NO_PICTURE

NAMES = ["cat", "a,b 牛"]


@pytest.fixture(scope="module")
def predict_many(import_script):
    return import_script("recipes", "predict_many")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(2, 32, patch_size=16, num_levels=1, embedding_dim=4)
    return serving.export(model, tmp_path_factory.mktemp("models") / "tiny", NAMES).parent


@pytest.fixture
def photos(tmp_path):
    """Seven files, of which `3.png` is broken."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(7):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype="uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return folder


def rows(out):
    found = []
    for part in sorted(out.glob("part-*.csv")):
        with open(part, newline="", encoding="utf-8") as stream:
            found += csv.DictReader(stream)
    return found


def test_each_picture_has_a_row_with_its_scores(
    predict_many, saved_model, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    for host, code in ((1, 1), (0, 0)):  # the broken picture is in the second part
        arguments = [saved_model, photos, "--out", out, "--part", 2]
        arguments += ["--num-hosts", 2, "--host-id", host]
        assert predict_many.main([str(argument) for argument in arguments]) == code
    printed, errors = capsys.readouterr()
    assert printed.splitlines() == [
        f"{out}: 7 pictures in 4 parts, 2 of them missing",
        f"{out}: 7 pictures in 4 parts, 0 of them missing",
    ]
    assert errors == ""
    found = rows(out)
    assert [row["file"] for row in found] == [str(path) for path in sorted(photos.iterdir())]
    local = serving.LocalModel.load(saved_model)
    for row in found:
        if row["file"].endswith("3.png"):
            assert (row["status"], *(row[name] for name in NAMES)) == (NO_PICTURE, "", "")
            continue
        with open(row["file"], "rb") as file:
            (answer,) = local.predict([file.read()])
        assert row["status"] == "ok"
        np.testing.assert_allclose([float(row[name]) for name in NAMES], answer.scores, atol=1e-6)


def test_what_is_there_is_not_done_again(predict_many, saved_model, photos, tmp_path):
    out = tmp_path / "out"
    arguments = [str(saved_model), str(photos), "--out", str(out), "--part", "3"]
    assert predict_many.main(arguments) == 1
    before = [(path, path.stat().st_mtime_ns) for path in sorted(out.glob("part-*"))]
    expected = rows(out)
    before[1][0].unlink()
    assert predict_many.main(arguments) == 1
    after = [(path, path.stat().st_mtime_ns) for path in sorted(out.glob("part-*"))]
    assert rows(out) == expected
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    # Nothing was done now, and nothing was bad.
    assert predict_many.main(arguments) == 0


@pytest.mark.slow
def test_killed_and_given_again(start_process, saved_model, photos, tmp_path):
    for number, copy in itertools.product(range(7), range(60)):
        shutil.copy(photos / f"{number}.png", photos / f"{number}-{copy}.png")
    out = tmp_path / "out"
    arguments = [str(saved_model), str(photos), "--out", str(out), "--part", "16"]
    process = start_process(arguments, tmp_path, "predict_many.py")
    while len(list(out.glob("part-*"))) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(list(out.glob("part-*")))
    assert 3 <= done < 27
    ended = start_process(arguments, tmp_path, "predict_many.py")
    printed, errors = ended.communicate(timeout=300)
    assert ended.returncode == 1 and errors == ""
    assert printed == f"{out}: 427 pictures in 27 parts, 0 of them missing\n"
    files = [row["file"] for row in rows(out)]
    assert len(files) == len(set(files)) == 427


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--host-id", "1"], "--host-id 1"),
        (["--num-hosts", "2", "--host-id", "2"], "give 0 to 1"),
    ],
)
def test_a_host_that_is_none(predict_many, saved_model, photos, more, named, tmp_path, capsys):
    arguments = [str(saved_model), str(photos), "--out", str(tmp_path / "out"), *more]
    assert predict_many.main(arguments) == 2
    errors = capsys.readouterr().err
    assert named in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_model_no_pictures_and_another_model(
    predict_many, saved_model, photos, tmp_path, capsys
):
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    for model, pictures in ((tmp_path / "none", photos), (saved_model, empty)):
        assert predict_many.main([str(model), str(pictures), "--out", str(out)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert not out.exists()
    assert predict_many.main([str(saved_model), str(photos / "0.png"), "--out", str(out)]) == 0
    model = PatchClassifier(2, 32, patch_size=16, num_levels=1, embedding_dim=4)
    other = serving.export(model, tmp_path / "other", NAMES).parent
    assert predict_many.main([str(other), str(photos / "0.png"), "--out", str(out)]) == 2
    assert "begun with model" in capsys.readouterr().err

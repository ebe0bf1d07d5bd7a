"""A run on a folder and a CSV: what is trained on what, and what is refused."""

import csv

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.errors import InputError
from keras_patchpu.training import RECIPES, folder_run

LABELS = [("a.png", "sea"), ("b.png", "dog"), ("c.png", "sea"), ("d.png", "dog"), ("d.png", "sea")]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abcdef":
        Image.new("RGB", (8, 6)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def write(tmp_path):
    def write(name, rows, header=("file", "label")):
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        return tmp_path / name

    return write


def test_a_part_is_held_out_and_the_rest_is_observed(photos, write):
    run = folder_run(photos, write("labels.csv", LABELS), seed=3)
    assert run.train.label_names == run.test.label_names == ("dog", "sea")
    assert sorted(run.train.keys + run.test.keys) == ["a.png", "b.png", "c.png", "d.png"]
    assert len(run.test) >= 1 and not run.test.truth_known
    # Positives are 1; nothing is known to be absent.
    expected = [[(key, label) in LABELS for label in ("dog", "sea")] for key in run.train.keys]
    np.testing.assert_array_equal(run.observed, np.array(expected, "float32"))
    assert run.draw == "given" and run.loss == "wn" and run.seed == 3
    assert run.recipe == RECIPES["small"]


def test_all_positives_are_held_out(photos, write):
    rows = [(f"{name}.png", 1 if name == "a" else -1, -1) for name in "abcdef"]
    labels = write("labels.csv", rows, ("file", "sea", "dog"))
    seeds = []
    for seed in range(40):
        try:
            assert (folder_run(photos, labels, seed=seed).train.labels == 1).any()
        except InputError as error:
            assert f"seed {seed} holds out" in str(error)
            seeds.append(seed)
    assert 0 < len(seeds) < 20


def test_the_truth_of_other_pictures(photos, write):
    truth = write("test.csv", [("e.png", "dog")])
    run = folder_run(photos, write("labels.csv", LABELS), test_labels=truth, loss="an")
    assert run.train.keys == ("a.png", "b.png", "c.png", "d.png") and run.test.keys == ("e.png",)
    assert run.test.truth_known and run.test.labels.tolist() == [[1, 0]]


def test_test_pictures_of_another_folder(photos, write, tmp_path):
    (tmp_path / "others").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "others" / "a.png")
    truth = write("test.csv", [("a.png", "dog")])
    labels = write("labels.csv", LABELS)
    run = folder_run(photos, labels, test_labels=truth, test_images=tmp_path / "others")
    assert run.test.images == [str(tmp_path / "others" / "a.png")]
    with pytest.raises(InputError, match="test.csv: 1 of its pictures are in .*labels.csv too"):
        folder_run(photos, labels, test_labels=truth)


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_full_supervision_needs_known_negatives(photos, write, loss):
    with pytest.raises(InputError, match=f"{loss} learns from positives and negatives"):
        folder_run(photos, write("labels.csv", LABELS), loss=loss)
    matrix = [(f"{name}.png", 1, -1) for name in "abcdef"]
    run = folder_run(photos, write("matrix.csv", matrix, ("file", "sea", "dog")), loss=loss)
    assert (run.observed == [1, -1]).all()


def test_some_losses_are_told_how_many_labels_there_are(photos, write):
    labels = write("labels.csv", LABELS)
    with pytest.raises(InputError, match="epr needs to know how many labels a picture has"):
        folder_run(photos, labels, loss="epr")
    assert folder_run(photos, labels, loss="epr", expected_positives=1.5).expected_positives == 1.5


@pytest.mark.parametrize(
    ("rows", "loss", "said"),
    [
        ([("a.png", "sea"), ("b.png", "sea")], "wn", "has the one label sea"),
        ([("a.png", "sea"), ("a.png", "dog")], "wn", "labels a single picture"),
        (LABELS, "wm", "no loss 'wm': choose of bce, wn"),
    ],
)
def test_bad_input(photos, write, rows, loss, said):
    with pytest.raises(InputError, match=said) as raised:
        folder_run(photos, write("labels.csv", rows), loss=loss)
    assert "\n" not in str(raised.value)

"""A folder of pictures with a CSV file."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import drop_unlabelled, evaluation_batches
from keras_patchpu.data.folder import read_folder, scan_folder
from keras_patchpu.errors import InputError

NAMES = ("1.jpg", "cats/a b, c.png", "cats/deep/é 牛.jpg", "unlisted.jpg")


@pytest.fixture
def pets(tmp_path):
    """A folder of four pictures."""
    for number, name in enumerate(NAMES):
        file = tmp_path / "pets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number * 50, 0, 0)).save(file)
    return tmp_path / "pets"


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "labels.csv"
        file.write_text(content, encoding="utf-8")
        return file

    return write


def test_a_list_of_positives(pets, write):
    file = write(
        'file,label\ncats/deep/é 牛.jpg,cow\n1.jpg,dog\n"cats/a b, c.png",cat\n1.jpg,cat\n'
    )
    examples = read_folder(pets, file, "train")
    assert (examples.name, examples.split, examples.truth_known) == ("pets", "train", False)
    assert examples.keys == (NAMES[2], NAMES[0], NAMES[1])
    assert examples.images == [str(pets / key) for key in examples.keys]
    assert examples.label_names == ("cat", "cow", "dog")
    assert examples.labels.dtype == np.float32
    assert examples.labels.tolist() == [[-1, 1, -1], [1, -1, 1], [1, -1, -1]]
    assert len(examples.boxes) == len(examples.box_labels) == 0
    assert scan_folder(str(pets), str(file), "train")[1] == ()
    truth = read_folder(pets, file, "test", truth=True)
    assert truth.truth_known and truth.labels.tolist() == [[0, 1, 0], [1, 0, 1], [1, 0, 0]]
    assert len(list(evaluation_batches(truth, 2, 8))) == 2


def test_a_matrix(pets, write):
    file = write("file,dog,cat\n1.jpg,1,-1\nunlisted.jpg,0,\n")
    examples = read_folder(pets, file, "train")
    assert examples.label_names == ("dog", "cat")
    assert examples.labels.tolist() == [[1, 0], [-1, -1]]
    assert drop_unlabelled(examples).keys == ("1.jpg",)
    assert read_folder(pets, file, "test", truth=True).labels.tolist() == [[1, 0], [0, -1]]


@pytest.mark.parametrize(("truth", "absent"), [(False, -1), (True, 0)])
def test_a_test_list_has_the_labels_of_the_training_split(pets, write, truth, absent):
    file = write("file,label\n1.jpg,dog\nunlisted.jpg,cat\n1.jpg,cow\n")
    names = ["cat", "sheep", "dog"]
    examples, problems = scan_folder(pets, file, "test", truth, names)
    assert examples.label_names == ("cat", "sheep", "dog")
    assert examples.labels.tolist() == [[absent, absent, 1], [1, absent, absent]]
    assert problems == (
        f"{file}, line 4: 'cow' is no label of the training split (1 files have it): correct it or "
        "take it out",
    )


def test_a_test_matrix_has_the_labels_of_the_training_split(pets, write):
    file = write("file,dog,cow,cat\n1.jpg,1,1,0\nunlisted.jpg,0,1,1\n")
    examples, problems = scan_folder(pets, file, "test", True, ("cat", "sheep", "dog"))
    assert examples.labels.tolist() == [[0, -1, 1], [1, -1, 0]]
    assert len(problems) == 1 and "line 1: 'cow' is no label" in problems[0]
    assert "(2 files have it)" in problems[0]


def test_every_problem_is_told_and_the_rest_read(pets, write):
    file = write(
        "file,cat\n1.jpg,1\ngone.jpg,1\n1.JPG,1\n../pets/1.jpg,1\ncats,1\nunlisted,1\n"
        "unlisted.jpg,-1\n"
    )
    examples, problems = scan_folder(pets, file, "train")
    assert examples.keys == ("1.jpg", "unlisted.jpg")
    assert examples.labels.tolist() == [[1], [0]]
    expected = [
        "line 5: '../pets/1.jpg' is not a path within",
        "line 3: gone.jpg is not in the folder: correct the name",
        "line 4: 1.JPG is not in the folder, but 1.jpg is: correct the name",
        "line 6: cats is not in the folder",
        "line 7: unlisted is not in the folder",
    ]
    assert len(problems) == len(expected)
    for problem, text in zip(problems, expected, strict=True):
        assert problem.startswith(f"{file}, {text}")
    message = message_of(pets, file)
    assert message.startswith(problems[0])
    assert message.endswith("and 4 more problems (`python recipes/inspect_data.py` lists all)")


def test_one_problem(pets, write):
    message = message_of(pets, write("file,cat\n1.jpg,1\ngone.jpg,1\n"))
    assert message.endswith("add the picture (`python recipes/inspect_data.py` lists all)")


def test_all_rows_bad(pets, write):
    file = write("file,cat\n\\1.jpg,1\n")
    examples, problems = scan_folder(pets, file, "train")
    assert len(examples) == 0 and len(problems) == 1
    assert examples.labels.shape == (0, 1)


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_composed_and_decomposed_names(pets, write, written, stored):
    picture = pets / unicodedata.normalize(stored, "ü.jpg")
    (pets / "1.jpg").rename(picture)
    key = unicodedata.normalize(written, "ü.jpg")
    examples = read_folder(pets, write(f"file,label\n{key},cat\n"), "train")
    assert examples.keys == (key,)
    assert os.path.basename(examples.images[0]) in os.listdir(pets)
    assert os.path.exists(examples.images[0])


def test_a_file_whose_name_is_not_unicode_is_passed_over(pets, write):
    try:
        os.rename(os.fsencode(pets / "unlisted.jpg"), os.fsencode(pets) + b"/caf\xe9.jpg")
    except OSError:
        pytest.skip("this file system has Unicode names only")
    assert len(read_folder(pets, write("file,label\n1.jpg,cat\n"), "train")) == 1


def test_relative_paths_and_linked_folders(pets, write, monkeypatch):
    file = write("file,label\n1.jpg,cat\n")
    (pets.parent / "link").symlink_to(pets)
    assert read_folder(pets.parent / "link", file, "train").name == "link"
    monkeypatch.chdir(pets)
    examples = read_folder(".", "../labels.csv", "train")
    assert examples.name == "pets" and examples.images == [str(pets / "1.jpg")]


def message_of(images, file):
    with pytest.raises(InputError) as error:
        read_folder(images, file, "train")
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def test_links_out_of_the_folder_are_refused(pets, write):
    file = write("file,label\nlink.jpg,cat\n")
    (pets / "link.jpg").symlink_to("1.jpg")
    assert read_folder(pets, file, "train").images == [str(pets / "link.jpg")]
    (pets / "link.jpg").unlink()
    (pets / "link.jpg").symlink_to(file)
    assert f"{pets / 'link.jpg'}: a link that leads out of" in message_of(pets, file)


def test_folders_at_fault(tmp_path, pets, write):
    file = write("file,label\n1.jpg,cat\n")
    assert "nowhere: no such folder: give the folder" in message_of(tmp_path / "nowhere", file)
    assert "labels.csv: a file, not a folder: give the folder" in message_of(file, file)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    assert "empty: no pictures in this folder: give" in message_of(tmp_path / "empty", file)
    message = message_of(pets / "cats", file)
    assert "labels.csv, line 2: neither 1.jpg nor any other file is in" in message
    assert "cats, which has 'a b, c.png': write file names as they are in this folder" in message
    assert "No such file" in message_of(pets, tmp_path / "nothing.csv")

import shutil

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import evaluation_batches, read_nus_wide
from keras_patchpu.errors import InputError

NAMES = ("actor\\0001_2124494179.jpg", "actor\\0002_174174086.jpg", "zoo keeper\\0003_1.jpg")
LABELS = {"airport": "010", "sky": "111", "zebra": "000"}


@pytest.fixture
def nus(tmp_path):
    """Three training and one test picture, three concepts; lists as they are written on Windows."""
    for folder in ("ConceptsList", "ImageList", "Groundtruth/TrainTestLabels"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ConceptsList" / "Concepts81.txt").write_text("airport\r\nsky\r\nzebra\r\n")
    lists = tmp_path / "ImageList"
    (lists / "TrainImagelist.txt").write_text("".join(f"{name}\r\n" for name in NAMES))
    (lists / "TestImagelist.txt").write_text("actor\\0009_3.jpg\n")
    for concept, flags in LABELS.items():
        labels = tmp_path / "Groundtruth" / "TrainTestLabels" / f"Labels_{concept}_Train.txt"
        labels.write_text("".join(f"{flag}\r\n" for flag in flags))
        (labels.parent / f"Labels_{concept}_Test.txt").write_text("1\n")
    for name in (*NAMES, "actor\\0009_3.jpg"):
        picture = tmp_path / "Flickr" / name.replace("\\", "/")
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(picture)
    return tmp_path


def test_reads_labels_and_paths(nus):
    examples = read_nus_wide(nus, "train")
    assert (examples.name, examples.split) == ("NUS-WIDE", "train")
    assert examples.label_names == ("airport", "sky", "zebra")
    assert examples.keys[0] == "actor/0001_2124494179.jpg"
    assert examples.images[2] == str(nus / "Flickr" / "zoo keeper" / "0003_1.jpg")
    assert examples.labels.dtype == np.float32
    assert examples.labels.tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert len(examples.boxes) == 0
    assert len(list(evaluation_batches(examples, 2, 8))) == 2
    assert read_nus_wide(nus, "test").labels.tolist() == [[1, 1, 1]]


def test_pictures_that_flickr_has_lost_are_left_out(nus):
    (nus / "Flickr").rename(nus / "images")
    (nus / "images" / "actor" / "0001_2124494179.jpg").unlink()
    examples = read_nus_wide(nus, "train")
    assert examples.keys == ("actor/0002_174174086.jpg", "zoo keeper/0003_1.jpg")
    assert examples.labels.tolist() == [[1, 1, 0], [0, 1, 0]]
    assert examples.images[0] == str(nus / "images" / "actor" / "0002_174174086.jpg")


def message_of(path, split="train"):
    with pytest.raises(InputError) as error:
        read_nus_wide(path, split)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_no_pictures_at_all(nus):
    shutil.rmtree(nus / "Flickr" / "actor")
    shutil.rmtree(nus / "Flickr" / "zoo keeper")
    message = message_of(nus)
    assert "none of the 3 pictures of train" in message
    assert "in Flickr/actor/0001_2124494179.jpg" in message
    shutil.rmtree(nus / "Flickr")
    assert f"{nus}: no folder Flickr or images" in message_of(nus)


@pytest.mark.parametrize(
    "name",
    [
        "ConceptsList/Concepts81.txt",
        "ImageList/TrainImagelist.txt",
        "Groundtruth/TrainTestLabels/Labels_sky_Train.txt",
    ],
)
def test_missing_lists(nus, name):
    (nus / name).unlink()
    message = message_of(nus)
    assert f"{nus / name}: no such file: unpack" in message and "lms.comp.nus.edu.sg" in message


def test_splits():
    assert "no split 'val': choose one of train, test" in message_of("anywhere", "val")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ConceptsList/Concepts81.txt", "", "expected one concept a line"),
        ("ConceptsList/Concepts81.txt", "sky\nsky\n", "expected one concept a line"),
        ("ConceptsList/Concepts81.txt", "../../sky\n", "expected one concept a line"),
        ("ImageList/TrainImagelist.txt", "\n", "the list is empty"),
        ("ImageList/TrainImagelist.txt", "actor\\1.jpg\n" * 3, "a picture is there twice"),
        ("ImageList/TrainImagelist.txt", "a\\1.jpg\n..\\1.jpg\n", "'../1.jpg' is not a picture"),
        ("ImageList/TrainImagelist.txt", "/etc/passwd\n", "'/etc/passwd' is not a picture"),
        ("ImageList/TrainImagelist.txt", "C:\\a\\1.jpg\n", "'C:/a/1.jpg' is not a picture"),
        ("Groundtruth/TrainTestLabels/Labels_sky_Train.txt", "1\n0\n", "has 2 labels, but the"),
        ("Groundtruth/TrainTestLabels/Labels_sky_Train.txt", "", "has 0 labels, but the"),
        ("Groundtruth/TrainTestLabels/Labels_sky_Train.txt", "1\n0\n-1\n", "'-1' is neither 0 nor"),
    ],
)
def test_lists_at_fault(nus, name, text, expected):
    (nus / name).write_text(text)
    message = message_of(nus)
    assert message.startswith(f"{nus / name}: ") and expected in message


def test_a_byte_order_mark_and_rubbish(nus):
    for name in ("ConceptsList/Concepts81.txt", "ImageList/TrainImagelist.txt"):
        text = (nus / name).read_bytes()
        (nus / name).write_bytes(b"\xef\xbb\xbf" + text)
    assert read_nus_wide(nus, "train").label_names[0] == "airport"
    (nus / "ImageList" / "TrainImagelist.txt").write_bytes(bytes(range(256)))
    assert "TrainImagelist.txt: cannot be read as text" in message_of(nus)


def test_links_out_of_the_folder_are_refused(nus):
    (nus / "Flickr" / "actor").rename(nus / "elsewhere")
    (nus / "Flickr" / "actor").symlink_to(nus / "elsewhere")
    assert "Flickr/actor: a link that leads out of" in message_of(nus)

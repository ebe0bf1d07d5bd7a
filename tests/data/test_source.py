import json

import pytest
from PIL import Image

from keras_patchpu.data import drop_unlabelled, read_source, source
from keras_patchpu.errors import InputError


@pytest.mark.parametrize(
    ("mark", "reader", "splits"),
    [
        ("ImageSets/Main/train.txt", "read_voc", ["train", "val"]),
        ("VOC2012/ImageSets/Main/train.txt", "read_voc", ["train", "val"]),
        ("VOCdevkit/VOC2012/ImageSets/Main/train.txt", "read_voc", ["train", "val"]),
        ("VOC2007/ImageSets/Main/trainval.txt", "read_voc", ["train", "val"]),
        ("VOCdevkit/VOC2007/ImageSets/Main/test.txt", "read_voc", ["trainval", "test"]),
        ("annotations/instances_val2017.json", "read_coco", ["train", "val"]),
        ("ImageList/TrainImagelist.txt", "read_nus_wide", ["train", "test"]),
        ("ConceptsList/Concepts81.txt", "read_nus_wide", ["train", "test"]),
        ("train_test_split.txt", "read_cub", ["train", "test"]),
        ("CUB_200_2011/images.txt", "read_cub", ["train", "test"]),
    ],
)
def test_a_folder_is_known_by_its_layout(tmp_path, monkeypatch, mark, reader, splits):
    (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / mark).touch()
    for name in ("Annotations", "JPEGImages"):  # a VOC folder has them beside its lists
        (tmp_path / mark).parents[2].joinpath(name).mkdir(exist_ok=True)
    asked = []
    monkeypatch.setattr(source, reader, lambda path, split: asked.append(split) or (path, split))
    assert read_source(str(tmp_path)) == tuple((str(tmp_path), split) for split in splits)
    assert asked == splits


def test_tfds(monkeypatch):
    for reader in ("read_voc_tfds", "read_coco_tfds"):
        monkeypatch.setattr(source, reader, lambda split, reader=reader: (reader, split))
    for name, reader in (("tfds", "read_voc_tfds"), ("coco-tfds", "read_coco_tfds")):
        assert read_source(name) == ((reader, "train"), (reader, "val"))


def test_imagenet_real_is_to_evaluate_on(tmp_path):
    (tmp_path / "val").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    (tmp_path / "real.json").write_text(json.dumps([[0]]))
    (tmp_path / "synset_words.txt").write_text("n01440764 tench, Tinca tinca\n")
    train, test = read_source(tmp_path)
    assert len(test) == 1 and test.split == "val"
    assert len(train) == 0 and train.label_names == test.label_names
    with pytest.raises(InputError, match="ImageNet-ReaL train .*it is to evaluate on") as error:
        drop_unlabelled(train)
    assert "\n" not in str(error.value)


def test_a_folder_of_no_data_set_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError) as error:
        read_source(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: not a VOC folder") and "\n" not in message
    marks = ("ImageSets/Main", "annotations/instances_*.json", "ImageList", "real.json")
    assert all(mark in message for mark in (*marks, "train_test_split.txt"))
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_source(tmp_path / "nowhere")


def test_one_split_alone_is_read(tmp_path, monkeypatch):
    for name in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(source, "read_voc", lambda path, split: split)
    assert read_source(tmp_path, splits=["test"]) == ("val",)

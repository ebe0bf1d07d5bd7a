import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_patchpu.data import read_coco, read_coco_tfds

NAMES = [f"thing {number:02d}" for number in range(80)]


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """A COCO folder that TFDS takes for the archives it has downloaded."""
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    for number, split in enumerate(("train2014", "val2014", "test2014", "test2015")):
        (folder / split).mkdir()
        images, annotations = [], []
        for image_id in (123 + number, 7 + number, 50 + number):
            name = f"COCO_{split}_{image_id:012d}.jpg"
            Image.new("RGB", (40, 20), (image_id, 0, 0)).save(folder / split / name)
            images.append({"id": image_id, "file_name": name, "height": 20, "width": 40})
            for thing in range(image_id % 3):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": 90 - thing - number,
                        "bbox": [4.0 + thing, 5.0, 8.0, 10.0],
                        "area": 3.5,
                        "iscrowd": thing,
                    }
                )
        categories = [{"id": 11 + column, "name": name} for column, name in enumerate(NAMES)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        kind = "image_info" if split.startswith("test") else "instances"
        file = folder / "annotations" / f"{kind}_{split}.json"
        file.write_text(json.dumps(content))
    monkeypatch.setattr(
        tfds.download.DownloadManager,
        "download_and_extract",
        lambda self, urls: dict.fromkeys(urls, str(folder)),
    )
    return folder


def test_equals_the_folder(coco, tmp_path):
    for split in ("train", "val"):
        expected = read_coco(coco, split)
        examples = read_coco_tfds(split, data_dir=str(tmp_path / "tfds"))
        assert 0 < len(examples) < 3
        for name in ("name", "split", "label_names", "keys"):
            assert getattr(examples, name) == getattr(expected, name)
        np.testing.assert_array_equal(examples.labels, expected.labels)
        for row, path in enumerate(expected.images):
            with open(path, "rb") as file:
                assert examples.images[row] == file.read()
            np.testing.assert_allclose(examples.boxes[row], expected.boxes[row], atol=1e-6)
            for name in ("box_labels", "box_difficult"):
                np.testing.assert_array_equal(
                    getattr(examples, name)[row], getattr(expected, name)[row]
                )


def test_mocked_data_without_objects_are_left_out_and_sorted_by_id():
    def as_dataset(builder, split, decoders, **_):
        assert split == "validation"
        assert isinstance(decoders["image"], tfds.decode.SkipDecoding)

        def rows():
            for image_id, columns in ((30, [3]), (4, [79, 0]), (2, [])):
                yield {
                    "image": b"a picture",
                    "image/id": image_id,
                    "objects": {
                        "bbox": np.full((len(columns), 4), 0.5),
                        "label": columns,
                        "is_crowd": [True] * len(columns),
                    },
                }

        signature = {
            "image": tf.TensorSpec((), tf.string),
            "image/id": tf.TensorSpec((), tf.int64),
            "objects": {
                "bbox": tf.TensorSpec((None, 4), tf.float32),
                "label": tf.TensorSpec((None,), tf.int64),
                "is_crowd": tf.TensorSpec((None,), tf.bool),
            },
        }
        return tf.data.Dataset.from_generator(rows, output_signature=signature)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        examples = read_coco_tfds("val")
    assert examples.keys == ("4", "30") and examples.labels.shape == (2, 80)
    assert [np.flatnonzero(row).tolist() for row in examples.labels] == [[0, 79], [3]]
    assert examples.images == [b"a picture"] * 2
    assert examples.box_difficult[0].tolist() == [True, True]

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_patchpu.data import VOC_LABELS, evaluation_batches, load_images, read_voc, read_voc_tfds


@pytest.fixture
def voc(tmp_path, make_voc, monkeypatch):
    """A VOCdevkit on disk that TFDS takes for the archives it has downloaded."""
    devkit = make_voc(tmp_path)
    (devkit / "VOC2012" / "ImageSets" / "Main" / "test.txt").write_text("2008_000006\n")
    monkeypatch.setattr(
        tfds.download.DownloadManager,
        "download_and_extract",
        lambda self, urls: dict.fromkeys(urls, devkit.parent),
    )
    return devkit


def test_equals_the_folder(voc, tmp_path):
    for split in ("train", "val"):
        for difficult in ("negative", "ignore", "positive"):
            expected = read_voc(voc, split, difficult)
            examples = read_voc_tfds(split, difficult, data_dir=str(tmp_path / "tfds"))
            assert (examples.name, examples.split) == (expected.name, expected.split)
            assert examples.label_names == VOC_LABELS
            assert examples.keys == expected.keys
            np.testing.assert_array_equal(examples.labels, expected.labels)
            for row, path in enumerate(expected.images):
                with open(path, "rb") as file:
                    assert examples.images[row] == file.read()
                np.testing.assert_allclose(examples.boxes[row], expected.boxes[row], atol=1e-6)
                for name in ("box_labels", "box_difficult"):
                    np.testing.assert_array_equal(
                        getattr(examples, name)[row], getattr(expected, name)[row]
                    )


def test_mocked_data_feeds_the_pipeline(tmp_path, make_voc):
    expected = read_voc(make_voc(tmp_path), "val")

    def as_dataset(builder, split, decoders, **_):
        assert split == "validation"
        assert isinstance(decoders["image"], tfds.decode.SkipDecoding)

        def rows():
            for row in reversed(range(len(expected))):
                yield {
                    "image": tf.io.read_file(expected.images[row]),
                    "image/filename": expected.keys[row],
                    "objects": {
                        "bbox": expected.boxes[row],
                        "label": expected.box_labels[row],
                        "is_difficult": expected.box_difficult[row],
                    },
                }

        signature = {
            "image": tf.TensorSpec((), tf.string),
            "image/filename": tf.TensorSpec((), tf.string),
            "objects": {
                "bbox": tf.TensorSpec((None, 4), tf.float32),
                "label": tf.TensorSpec((None,), tf.int64),
                "is_difficult": tf.TensorSpec((None,), tf.bool),
            },
        }
        return tf.data.Dataset.from_generator(rows, output_signature=signature)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        examples = read_voc_tfds("val")
    assert examples.keys == expected.keys
    batches = list(evaluation_batches(examples, 3, 16).as_numpy_iterator())
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(images, load_images(expected, 16, progress=False))
    labels = np.concatenate([targets["labels"] for _, targets in batches])
    np.testing.assert_array_equal(labels, expected.labels)


def test_the_label_names_are_those_of_tfds():
    with tfds.testing.mock_data():
        builder = tfds.builder("voc/2012")
    assert tuple(builder.info.features["labels"].feature.names) == VOC_LABELS

"""What goes wrong with TFDS, for each reader that uses it."""

import sys

import pytest
import tensorflow_datasets as tfds

from keras_patchpu.data import read_coco_tfds, read_voc_tfds
from keras_patchpu.errors import InputError

BOTH = pytest.mark.parametrize("read", [read_coco_tfds, read_voc_tfds])


@BOTH
def test_the_test_split_has_no_annotations(read):
    with pytest.raises(InputError, match="no split 'test' with annotations: choose one of train"):
        read("test")


@BOTH
def test_without_tensorflow_datasets(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"pip install 'keras_patchpu\[data\]'"):
        read("train")


@pytest.mark.parametrize(
    "read, ways_on",
    [
        (read_coco_tfds, ["https://cocodataset.org/#download"]),
        (read_voc_tfds, ["manual_dir ({folder}/downloads/manual)", "VOCdevkit"]),
    ],
)
def test_a_failed_download_names_the_ways_on(read, ways_on, monkeypatch, tmp_path):
    def fail(self, urls):
        raise ConnectionError("cannot reach the host\nat all")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fail)
    with pytest.raises(InputError) as error:
        read("train", data_dir=str(tmp_path))
    message = str(error.value)
    assert "\n" not in message
    assert "ConnectionError: cannot reach the host)" in message
    for way in ways_on:
        assert way.format(folder=tmp_path) in message

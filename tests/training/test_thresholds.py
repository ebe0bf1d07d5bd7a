"""The thresholds of a run: found, written, read and told."""

import json
import math

import numpy as np
import pytest

from keras_patchpu import training
from keras_patchpu.data import Examples
from keras_patchpu.errors import InputError
from keras_patchpu.training import Thresholds, calibrate
from keras_patchpu.training import thresholds as thresholds_module


def examples(split="test", truth_known=True):
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, -1, 0]], "float32")
    keys = tuple("abcd")
    images = [key.encode() for key in keys]
    return Examples(
        "own", split, ("cat", "dog", "cow"), keys, images, labels, truth_known=truth_known
    )


LOGITS = np.array([[30, -1, 0], [-2, 2, 0], [20, -3, 0], [20, 9, 0]], "float32")


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr(thresholds_module, "score", lambda *_: LOGITS)
    return lambda **options: calibrate(None, examples(**options), 16)


def test_of_scores_as_they_are_served(found):
    thresholds = found()
    # In float32 the sigmoid of 20 and of 30 is 1: three images are let in, of which two have it.
    sigmoid = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    assert thresholds.values["cat"] == pytest.approx((1 + sigmoid[1, 0]) / 2)
    assert thresholds.f1["cat"] == pytest.approx(4 / 5)
    # All of dog, with the first image between the two that have it; the last one is not known.
    assert thresholds.values["dog"] == pytest.approx(sigmoid[2, 1] / 2)
    assert thresholds.f1["dog"] == pytest.approx(4 / 5)
    assert math.isnan(thresholds.values["cow"]) and thresholds.without == ["cow"]
    assert thresholds.positives == {"cat": 2, "dog": 2, "cow": 0}
    assert thresholds.mean_f1 == pytest.approx(4 / 5)


def test_written_and_read_again(found, tmp_path):
    directory = training.RunDirectory(tmp_path)
    assert Thresholds.read(directory) is None
    thresholds = found(split="validation")
    thresholds.write(directory)
    again = Thresholds.read(directory)
    assert list(again.values) == ["cat", "dog", "cow"]
    np.testing.assert_array_equal(list(again.values.values()), list(thresholds.values.values()))
    np.testing.assert_allclose(list(again.f1.values()), list(thresholds.f1.values()), atol=1e-6)
    assert again.positives == thresholds.positives
    assert again.origin() == "the 4 validation images of own"
    content = json.loads((tmp_path / "thresholds.json").read_text())
    assert content["labels"]["cow"] == {"threshold": None, "f1": None, "positives": 0}
    assert (content["data"], content["split"], content["num_images"]) == ("own", "validation", 4)


def test_those_of_the_test_split_say_so(found):
    assert "4 test images of own, which the run is tested on" in found().origin()


def test_no_truth(found):
    with pytest.raises(InputError, match="own test: nobody has said.*--test-labels"):
        found(truth_known=False)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"data": "own", "split": "test", "num_images": 4, "labels": {"cat": 0.5}}',
        '{"data": "own", "split": "test", "num_images": 4, "labels": [1]}',
        '{"data": "own", "split": "test", "num_images": 4, "labels": {"cat": {"f1": 1}}}',
    ],
)
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "thresholds.json").write_text(content)
    with pytest.raises(InputError, match="thresholds.json is damaged") as error:
        Thresholds.read(training.RunDirectory(tmp_path))
    assert "\n" not in str(error.value)

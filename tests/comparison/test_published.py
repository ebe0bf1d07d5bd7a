"""The published numbers, beside what they are numbers of."""

import pytest

from keras_patchpu.comparison.published import SOURCES, find_published
from keras_patchpu.losses import LOSSES
from keras_patchpu.models import MODELS


def figures(*key):
    return [figure for figure, _ in find_published(*key)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("patch", "wn", None, "VOC2012"), [60.4]),
        (("patch", "wn", None, "COCO2014"), [63.2]),
        (("patch", "role", None, "COCO2014"), [33.3]),
        (("resnet50", "an", None, "VOC2012"), [45.7, 46.5]),
        (("resnet50", "bce", "imagenet", "COCO2014"), [79.4]),
        # Nothing was published of the patch model with en+cl: it is another model's.
        (("patch", "en+cl", None, "VOC2012"), [47.0, 49.1]),
        (("patch", "gr", None, "VOC2012"), []),
        (("patch", "wn", None, "VOC2007"), []),
        (("patch", "wn", None, "COCO2017"), []),
        # From other weights than any of these.
        (("resnet50", "an", "mine.h5", "VOC2012"), []),
    ],
)
def test_numbers(key, expected):
    assert figures(*key) == expected


def test_the_model_is_that_of_the_source():
    assert {s.model for _, s in find_published("patch", "an", None, "VOC2012")} == {"patch"}
    assert {s.model for _, s in find_published("patch", "en", None, "VOC2012")} == {"resnet50"}


def test_names_are_ours():
    for source in SOURCES:
        assert source.model in MODELS and source.maps.keys() <= LOSSES.keys()
        assert all(0 < figure < 100 for pair in source.maps.values() for figure in pair)

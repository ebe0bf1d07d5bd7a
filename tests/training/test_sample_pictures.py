"""The pictures that are looked at after an epoch, and what is drawn over them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageChops

from keras_patchpu.data import decode_and_resize, read_encoded
from keras_patchpu.training.sample_pictures import NUM_PICTURES, SamplePictures


class PlantedAttention:
    """Attends, for label l, to patch l of a grid of 2 by 2 patches alone, and to nothing for 4."""

    image_size = 64
    attention_grids = [(2, 2)]
    attention_boxes = np.array([[y, x, y + 32, x + 32] for y in (0, 32) for x in (0, 32)])
    output = {"logits": None, "attention": None}

    def __init__(self):
        self.shown = []

    def predict_on_batch(self, images):
        self.shown.append(images)
        attention = np.zeros((len(images), 10, 4), "float32")
        attention[:, range(4), range(4)] = 1
        return {"attention": attention}


@pytest.fixture
def examples(digits_run):
    """6 scenes; nobody knows of the first, and the second has more labels than are drawn."""
    labels = np.zeros((6, 10))
    labels[0] = -1
    labels[1, [1, 3, 4]] = 1
    labels[2:, 2] = 1
    return dataclasses.replace(digits_run.test, labels=labels)


def test_they_are_some_that_have_a_label(examples):
    rows = SamplePictures(examples, 64, "stretch").rows
    assert len(rows) == len(set(rows)) == NUM_PICTURES == 4
    assert set(rows) <= {1, 2, 3, 4, 5}


def test_they_are_the_same_ones_in_another_order(examples):
    keys = {examples.keys[row] for row in SamplePictures(examples, 64, "stretch").rows}
    turned = examples.select([5, 3, 1, 0, 2, 4])
    assert {turned.keys[row] for row in SamplePictures(turned, 64, "pad").rows} == keys


@pytest.mark.parametrize(("size", "shown"), [(64, 64), (320, 256)])
def test_the_map_of_each_label_lies_where_the_model_looks(examples, size, shown):
    examples = examples.select([1])
    model = PlantedAttention()
    model.image_size = size
    model.attention_boxes = PlantedAttention.attention_boxes * (size // 64)
    logits = np.zeros((1, 10))
    logits[0, 1] = 2.0
    drawn = list(SamplePictures(examples, size, "stretch").draw(model, logits))

    # Two of its three labels, each by name.
    assert [(key, label) for key, label, _ in drawn] == [(examples.keys[0], c) for c in "13"]
    pixels = decode_and_resize(read_encoded(examples, 0), size).numpy()
    np.testing.assert_array_equal(model.shown[0], pixels[None])
    before = Image.fromarray(pixels).resize((shown, shown))
    half = shown // 2
    boxes = [(half, 0, shown, half), (half, half, shown, shown)]  # left, top, right, bottom
    for (_, _, overlay), box in zip(drawn, boxes, strict=True):
        square = overlay.crop((0, 0, shown, shown))
        assert ImageChops.difference(square, before).getbbox() == box
        red, green, _ = np.asarray(square.crop(box)).reshape(-1, 3).mean(axis=0)
        assert red > green + 100
        assert overlay.height > shown  # the caption


def test_a_part_that_no_patch_covers_stays_as_it_is(examples):
    model = PlantedAttention()
    model.image_size = 96  # patches of 32 pixels leave over 32 of them
    ((_, _, overlay),) = SamplePictures(examples.select([2]), 96, "stretch").draw(
        model, np.zeros((1, 10))
    )
    before = Image.fromarray(decode_and_resize(read_encoded(examples, 2), 96).numpy())
    square = overlay.crop((0, 0, 96, 96))
    assert ImageChops.difference(square, before).getbbox() == (0, 32, 32, 64)


def test_the_caption_says_the_score_of_its_picture_and_label(examples, monkeypatch):
    captions = []

    def draw(picture, attention_map, label, score):
        captions.append((label, round(float(score), 6)))
        return picture

    monkeypatch.setattr("keras_patchpu.training.sample_pictures.draw_overlay", draw)
    logits = np.random.default_rng(0).normal(size=(6, 10))
    pictures = SamplePictures(examples, 64, "stretch")
    list(pictures.draw(PlantedAttention(), logits))
    expected = []
    for row in pictures.rows:
        for column in np.flatnonzero(examples.labels[row] == 1)[:2]:
            score = 1 / (1 + np.exp(-logits[row, column]))
            expected.append((str(column), round(score, 6)))
    assert captions == expected


def test_of_pictures_without_a_label_nothing_is_drawn(examples):
    examples = dataclasses.replace(examples, labels=np.full((6, 10), -1.0))
    pictures = SamplePictures(examples, 64, "stretch")
    assert pictures.rows == []
    assert list(pictures.draw(PlantedAttention(), np.zeros((6, 10)))) == []

"""The evaluation of maps on pictures whose objects are planted by colour."""

import dataclasses
import io
import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import Examples, load_images, read_digits
from keras_patchpu.errors import InputError
from keras_patchpu.localization.label_maps import LabelMaps
from keras_patchpu.metrics import PairScores
from keras_patchpu.training import (
    LocalizationEvaluation,
    boxed_labels,
    evaluate_localization,
)

NAMES = ("red", "green", "blue")
SIZE, CELLS = 64, 8


class ByColour(keras.Model):
    """A label attends to the patches with the most of its colour."""

    image_size = SIZE
    attention_grids = ((CELLS, CELLS),)

    def __init__(self):
        inputs = keras.Input((SIZE, SIZE, 3))
        side = SIZE // CELLS
        means = keras.layers.AveragePooling2D(side)(keras.ops.cast(inputs, "float32"))
        by_place = keras.layers.Permute((2, 1))(keras.layers.Reshape((-1, 3))(means))
        outputs = {"attention": keras.layers.Softmax()(by_place / 5)}
        super().__init__(inputs=inputs, outputs=outputs)
        corners = np.stack(np.mgrid[:SIZE:side, :SIZE:side], axis=-1).reshape(-1, 2)
        self.attention_boxes = np.concatenate([corners, corners + side], axis=1)


@pytest.fixture(scope="module")
def label_maps():
    return LabelMaps(ByColour())


@pytest.fixture(scope="module")
def examples():
    """13 pictures of 80 x 120 and 120 x 80, in each two objects of different colours."""
    rng = np.random.default_rng(0)
    images, boxes, box_labels, labels = [], [], [], np.zeros((13, 3), "float32")
    for number in range(13):
        size = (80, 120) if number % 2 else (120, 80)
        pixels = np.zeros((*size, 3), np.uint8)
        # One on each side of the middle, 30 x 30, which holds a whole patch after every resize.
        first = (rng.integers(0, size[0] // 2 - 30, endpoint=True), rng.integers(0, size[1] - 30))
        second = (rng.integers(size[0] // 2, size[0] - 30), rng.integers(0, size[1] - 30))
        colours = rng.permutation(3)[:2]
        for (top, left), colour in zip((first, second), colours, strict=True):
            pixels[top : top + 30, left : left + 30, colour] = 255
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        images.append(file.getvalue())
        boxes.append(
            np.array([(t, le, t + 30, le + 30) for t, le in (first, second)], "float32")
            / np.array(size * 2, "float32")
        )
        box_labels.append(colours)
        labels[number, colours] = 1
    return Examples(
        name="squares",
        split="test",
        label_names=NAMES,
        keys=tuple(f"{number}.png" for number in range(13)),
        images=images,
        labels=labels,
        boxes=boxes,
        box_labels=box_labels,
        box_difficult=[np.zeros(2, bool)] * 13,
    )


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("batch_size", [4, 20])
@pytest.mark.parametrize("cache", [False, True])
def test_what_is_planted_is_found(label_maps, examples, resize, batch_size, cache):
    cached = load_images(examples, SIZE, resize) if cache else None
    found = evaluate_localization(label_maps, examples, batch_size, resize, cached, tolerance=0)
    assert len(found.columns) == 26
    np.testing.assert_array_equal(found.num_pairs, examples.labels.sum(axis=0))
    means = found.means()
    assert means.hit == 100 and means.energy > 60
    assert means.centre_hit < 50
    # Each object is 900 of 9600 pixels.
    assert (means.area, means.random_hit) == pytest.approx((100 * 900 / 9600,) * 2)


def test_boxes_of_the_other_label_are_not_found(label_maps, examples):
    swapped = dataclasses.replace(examples, box_labels=[b[::-1] for b in examples.box_labels])
    found = evaluate_localization(label_maps, swapped, 5, tolerance=0)
    assert found.means().hit == 0 and found.means().energy < 5


def test_which_pairs_count(label_maps, examples):
    rows = examples.select([0, 1, 2, 3])
    first, second = zip(*rows.box_labels, strict=True)
    labels = rows.labels.copy()
    labels[1, first[1]] = 0
    labels[2, second[2]] = -1
    difficult = [np.array(flags) for flags in ([True, False], [False] * 2, [False] * 2, [True] * 2)]
    changed = dataclasses.replace(rows, labels=labels, box_difficult=difficult)
    pairs = [[second[0]], [second[1]], [first[2]], []]
    assert [list(columns) for columns in boxed_labels(changed)] == pairs
    found = evaluate_localization(label_maps, changed, 2, tolerance=0)
    assert found.columns.tolist() == sum(pairs, [])


def test_difficult_boxes_count_beside_others(label_maps, examples):
    """The box of the object is difficult; the other of the label is nowhere near it."""
    row = examples.select([0])
    label = row.box_labels[0][0]
    boxes = [np.concatenate([row.boxes[0][:1], [[0.99, 0.99, 1, 1]]])]
    for difficult, pairs in (([True, False], 1), ([True, True], 0)):
        changed = dataclasses.replace(
            row,
            boxes=boxes,
            box_labels=[np.array([label, label])],
            box_difficult=[np.array(difficult)],
        )
        if pairs:
            found = evaluate_localization(label_maps, changed, 2, tolerance=0)
            assert found.scores[:, 0].tolist() == [1]
        else:
            with pytest.raises(InputError, match="squares test has no boxes"):
                evaluate_localization(label_maps, changed, 2)


def test_the_tolerance_is_in_pixels_of_the_picture(label_maps, examples):
    """The box ends 12 pixels to the left of where the object begins, which a patch covers."""
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[50:75, 200:250] = (255, 0, 0)  # one patch of 25 x 50, with its middle at 225
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    shifted = dataclasses.replace(
        examples.select([0]),
        images=[file.getvalue()],
        labels=np.array([[1, 0, 0]], "float32"),
        boxes=[np.array([[50 / 200, 100 / 400, 75 / 200, 200 / 400]])],
        box_labels=[np.array([0])],
        box_difficult=[np.array([False])],
    )
    for tolerance, hit in ((0, 0), (24.9, 0), (25.1, 1)):
        found = evaluate_localization(label_maps, shifted, 1, tolerance=tolerance)
        assert found.means().hit == 100 * hit


def test_no_boxes_at_all(label_maps, examples):
    bare = dataclasses.replace(examples, boxes=(), box_labels=(), box_difficult=())
    with pytest.raises(InputError, match="squares test has no boxes of its labels.*such as VOC"):
        evaluate_localization(label_maps, bare, 4)


def test_a_diverged_model(examples):
    class Diverged(LabelMaps):
        def __call__(self, images):
            return super().__call__(images) * np.nan

    with pytest.raises(InputError, match="diverged"):
        evaluate_localization(Diverged(ByColour()), examples, 4)


def test_every_scene_of_digits_has_a_pair_for_each_label():
    scenes = read_digits("test", num_examples=20)
    pairs = boxed_labels(scenes)
    assert [len(labels) for labels in pairs] == scenes.labels.sum(axis=1).tolist()


def measured(counts, tolerance=15.0):
    """Pairs by label, of which the first of each label is found."""
    columns = np.repeat(np.arange(3), counts)
    scores = np.tile([0, 0.5, 0.25, 0.5, 0.125], (len(columns), 1))
    scores[np.unique(columns, return_index=True)[1], 0] = 1
    return LocalizationEvaluation("squares test", "cam", tolerance, NAMES, columns, scores)


def test_means_are_over_labels_with_a_pair():
    assert measured((2, 4, 0)).means() == PairScores((50 + 25) / 2, 50, 25, 50, 12.5)
    assert measured((25, 4, 20)).means(20) == PairScores((4 + 5) / 2, 50, 25, 50, 12.5)
    assert measured((2, 4, 0)).means(20) is None
    assert np.isnan(measured((2, 4, 0)).per_label[2]).all()


def test_the_table():
    lines = measured((25, 4, 0)).as_table().splitlines()
    assert lines[0] == (
        "cam maps on squares test, in percent; a hit is a point within 15 pixels of a box"
    )
    assert lines[1].split() == "label pointing centre random energy area pairs".split()
    assert lines[2].split() == "red 4.0 50.0 25.0 50.0 12.5 25".split()
    assert lines[3].split() == "green 25.0 50.0 25.0 50.0 12.5 4".split()
    assert lines[4].split() == "blue - - - - - 0".split()
    assert lines[5].split() == "mean 14.5 50.0 25.0 50.0 12.5 29".split()
    assert lines[6].startswith("mean (20 pairs or more) ")
    assert lines[6].split()[-7:] == "4.0 50.0 25.0 50.0 12.5 1 labels".split()
    assert len(lines) == 7 and max(map(len, lines)) <= 100


@pytest.mark.parametrize("counts", [(20, 21, 0), (19, 1, 0)])
def test_the_table_says_frequent_only_where_that_is_a_part(counts):
    lines = measured(counts, tolerance=0).as_table().splitlines()
    assert lines[0].endswith("; a hit is a point in a box")
    assert len(lines) == 6 and lines[-1].startswith("mean  ")


def test_the_dictionary():
    found = measured((3, 4, 0)).as_dict()
    assert json.loads(json.dumps(found)) == found
    others = {"centre_hit": 50.0, "random_hit": 25.0, "energy": 50.0, "area": 12.5}
    assert found == {
        "data": "squares test",
        "method": "cam",
        "tolerance": 15.0,
        "mean": {"hit": round((100 / 3 + 25) / 2, 3), **others},
        "mean_frequent": None,
        "frequent_means_at_least": 20,
        "num_pairs": 7,
        "labels": {
            "red": {"hit": 33.333, **others, "pairs": 3},
            "green": {"hit": 25.0, **others, "pairs": 4},
            "blue": {"pairs": 0},
        },
    }

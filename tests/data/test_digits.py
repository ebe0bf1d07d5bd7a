import io
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import f_classif
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from keras_patchpu.data import digits
from keras_patchpu.data.digits import read_digits
from keras_patchpu.errors import InputError


@pytest.fixture(scope="module")
def train():
    return read_digits("train", num_examples=600)


def decode(encoded):
    with Image.open(io.BytesIO(encoded)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        return np.asarray(picture)


def digit_cells(examples):
    """Yields the box in pixels, the crop and the label of every digit."""
    for encoded, boxes, labels in zip(
        examples.images, examples.boxes, examples.box_labels, strict=True
    ):
        picture = decode(encoded)
        for box, label in zip(np.round(boxes * len(picture)).astype(int), labels, strict=True):
            ymin, xmin, ymax, xmax = box
            yield box, picture[ymin:ymax, xmin:xmax].astype(float), label


def paper_colour(crop):
    """The background around a digit: the median of its cell's border."""
    border = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
    return np.median(border, axis=0)


def test_fields(train):
    assert (train.name, train.split, len(train)) == ("digits", "train", 600)
    assert train.label_names == tuple("0123456789")
    assert train.keys[123] == "train_000123.png" and len(set(train.keys)) == 600
    assert train.labels.dtype == np.float32 and train.labels.shape == (600, 10)
    assert set(np.unique(train.labels)) == {0.0, 1.0}
    for field in (train.images, train.boxes, train.box_labels, train.box_difficult):
        assert len(field) == 600
    assert decode(train.images[0]).shape == (96, 96, 3)


def test_one_to_four_digits_of_different_classes(train):
    counts = train.labels.sum(axis=1)
    assert set(counts) == {1, 2, 3, 4}
    assert 1.9 < counts.mean() < 2.2
    frequency = train.labels.mean(axis=0)
    assert 0.13 < frequency.min() and frequency.max() < 0.28
    for row, labels, difficult in zip(
        train.labels, train.box_labels, train.box_difficult, strict=True
    ):
        assert sorted(labels) == list(np.flatnonzero(row))
        assert difficult.dtype == bool and difficult.shape == labels.shape and not difficult.any()


def test_boxes_are_squares_inside_the_scene_that_hardly_overlap(train):
    for boxes in train.boxes:
        assert boxes.dtype == np.float32
        pixels = boxes.astype(float) * 96
        np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-4)
        sides = pixels[:, 2:] - pixels[:, :2]
        np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=1e-4)
        assert sides.min() > 23.9 and sides.max() < 44.1
        assert boxes.min() >= 0 and boxes.max() <= 1
        for i in range(len(pixels)):
            for j in range(i):
                common = np.minimum(pixels[i, 2:], pixels[j, 2:])
                common = (common - np.maximum(pixels[i, :2], pixels[j, :2])).clip(0).prod()
                # One twentieth, and a pixel of rounding along a whole side.
                assert common <= 0.05 * min(sides[i, 0], sides[j, 0]) ** 2 + 44


def test_scene_depends_on_seed_split_and_number_only(train):
    few = read_digits("train", num_examples=3)
    assert list(few.images) == list(train.images[:3])
    np.testing.assert_array_equal(few.labels, train.labels[:3])
    np.testing.assert_array_equal(few.boxes[2], train.boxes[2])
    assert not set(read_digits("train", num_examples=3, seed=1).images) & set(train.images)
    assert not set(read_digits("test", num_examples=3).images) & set(train.images)


def test_image_size_scales_the_scene():
    small, large = (read_digits("test", 20, image_size=size) for size in (64, 192))
    assert decode(small.images[0]).shape == (64, 64, 3)
    assert decode(large.images[0]).shape == (192, 192, 3)
    for ours, theirs in zip(small.boxes, large.boxes, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1.01 / 64)
    sides = np.concatenate(large.boxes)
    assert ((sides[:, 2] - sides[:, 0]) * 192 > 47.9).all()


def test_splits_share_no_scan():
    all_scans = {scan.astype("uint8").tobytes() for scan in load_digits().images}
    assert len(all_scans) == 1797  # no scan is in there twice
    train, test = (digits._load_scans(split) for split in ("train", "test"))
    for ours, theirs in zip(train, test, strict=True):
        assert not {scan.tobytes() for scan in ours} & {scan.tobytes() for scan in theirs}
        assert 0.69 < len(ours) / (len(ours) + len(theirs)) < 0.71
    assert sum(map(len, train)) + sum(map(len, test)) == 1797


def test_strokes_tell_the_label():
    """The nearest of all scans to the inked pixels of a box is of the box's class."""
    reader = KNeighborsClassifier(n_neighbors=3, metric="cosine")
    scans = load_digits()
    reader.fit(scans.data, scans.target)
    strokes, labels = [], []
    for _, crop, label in digit_cells(read_digits("test", num_examples=150)):
        ink = np.linalg.norm(crop - paper_colour(crop), axis=-1).astype("float32")
        ink = Image.fromarray(ink).resize((10, 10), Image.Resampling.BOX)
        strokes.append(np.asarray(ink)[1:-1, 1:-1].ravel())
        labels.append(label)
    assert reader.score(strokes, labels) > 0.8


def test_ink_is_lighter_or_darker_than_its_background(train):
    contrasts = []
    for _, crop, _ in digit_cells(train):
        luminance = crop @ [0.299, 0.587, 0.114]
        paper = paper_colour(crop) @ [0.299, 0.587, 0.114]
        contrasts.append(max(luminance.max() - paper, paper - luminance.min()))
    assert min(contrasts) > 45
    assert np.mean(np.array(contrasts) > 60) > 0.98


def test_colour_size_and_place_do_not_tell_the_label(train):
    features, labels = [], []
    for box, crop, label in digit_cells(train):
        paper = paper_colour(crop)
        pixels = crop.reshape(-1, 3)
        # The pixel least like the paper is fully inked: a colour without a shape.
        ink = pixels[np.linalg.norm(pixels - paper, axis=1).argmax()]
        features.append([*box, box[2] - box[0], *ink, *paper])
        labels.append(label)
    forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0)
    accuracy = cross_val_score(forest, features, labels, cv=4).mean()
    assert accuracy < 0.1 + 4 * np.sqrt(0.09 / len(labels))  # chance and four standard errors
    # No single feature has a mean that differs between the classes (analysis of variance).
    assert f_classif(features, labels)[1].min() > 1e-4


def test_order_of_boxes_does_not_tell_the_label(train):
    first, second = np.array([digits[:2] for digits in train.box_labels if len(digits) > 1]).T
    assert abs(np.mean(first < second) - 0.5) < 4 * np.sqrt(0.25 / len(first))


def test_scenes_are_drawn_in_milliseconds():
    start = time.process_time()
    read_digits("test", num_examples=200)
    assert time.process_time() - start < 200 * 0.01  # 0.0025 s each where it was written


def test_default_numbers():
    assert digits.DEFAULT_NUM_EXAMPLES == {"train": 8000, "test": 1000}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "Unknown split 'val'"),
        ({"split": "train", "num_examples": 0}, "cannot have 0 scenes"),
        ({"split": "train", "seed": -1}, "seed of the digits data is -1"),
        ({"split": "train", "image_size": 32}, "32 pixels are too small"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message) as error:
        read_digits(**arguments)
    assert "\n" not in str(error.value)

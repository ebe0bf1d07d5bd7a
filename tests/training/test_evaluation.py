"""Evaluation: scikit-learn's numbers on the model's scores, with no image dropped."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from keras_patchpu.data import Examples, load_images
from keras_patchpu.training import Evaluation, evaluate

SIZE, NAMES = 8, ("cat", "dog", "cow")


class MeanColour(keras.Model):
    """Scores three labels by a random linear map of the picture's pixels."""

    def __init__(self):
        inputs = keras.Input((SIZE, SIZE, 3))
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        logits = keras.layers.Dense(len(NAMES), kernel_initializer="random_normal")(flat)
        super().__init__(inputs=inputs, outputs={"logits": logits})
        self.image_size = SIZE


def examples(labels, size=SIZE, seed=0):
    """Pictures of noise as PNG, with these labels."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in labels:
        file = io.BytesIO()
        pixels = rng.integers(0, 256, (size, size + size // 2, 3), dtype="uint8")
        Image.fromarray(pixels).save(file, "png")
        images.append(file.getvalue())
    return Examples(
        name="noise",
        split="test",
        label_names=NAMES,
        keys=tuple(f"{i}.png" for i in range(len(labels))),
        images=images,
        labels=np.array(labels, "float32"),
        boxes=[],
        box_labels=[],
        box_difficult=[],
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return MeanColour()


def random_labels(num_images, seed=1):
    labels = np.random.default_rng(seed).integers(0, 2, (num_images, len(NAMES)))
    labels[-1] = 1  # the last image, of a batch that is not full, counts
    return labels


@pytest.mark.parametrize("batch_size", [1, 4, 13, 50])
@pytest.mark.parametrize("cache", [False, True])
def test_equals_scikit_learn_on_every_image(model, batch_size, cache):
    split = examples(random_labels(13))
    pictures = load_images(split, SIZE)
    found = evaluate(model, split, batch_size, cached=pictures if cache else None)

    scores = model.predict(pictures, batch_size=13, verbose=0)["logits"]
    expected = [100 * average_precision_score(split.labels[:, i], scores[:, i]) for i in range(3)]
    np.testing.assert_allclose(found.average_precisions, expected, rtol=1e-5)
    assert found.mean_average_precision == pytest.approx(np.mean(expected), rel=1e-5)
    assert found.num_images == 13
    np.testing.assert_array_equal(found.num_positives, split.labels.sum(axis=0))


def test_unknown_labels_are_left_out(model):
    labels = random_labels(12)
    labels[::3, 1] = -1
    split = examples(labels)
    found = evaluate(model, split, batch_size=5)
    scores = model.predict(load_images(split, SIZE), verbose=0)["logits"]
    known = labels[:, 1] >= 0
    expected = 100 * average_precision_score(labels[known, 1], scores[known, 1])
    assert found.average_precisions[1] == pytest.approx(expected, rel=1e-5)
    assert found.num_positives[1] == np.sum(labels[:, 1] == 1)


def test_a_label_without_positives_counts_zero(model):
    labels = random_labels(9)
    labels[:, 2] = 0
    found = evaluate(model, examples(labels), batch_size=4)
    assert found.average_precisions[2] == 0 and found.num_positives[2] == 0
    assert found.mean_average_precision == pytest.approx(sum(found.average_precisions[:2]) / 3)


def test_pictures_are_padded_where_the_model_was_trained_so(model):
    split = examples(random_labels(9))
    scores = model.predict(load_images(split, SIZE, "pad"), verbose=0)["logits"]
    expected = [100 * average_precision_score(split.labels[:, i], scores[:, i]) for i in range(3)]
    found = evaluate(model, split, batch_size=4, resize="pad")
    np.testing.assert_allclose(found.average_precisions, expected, rtol=1e-5)


def measured(num_positives, precisions=(50.0, 100.0, 0.0)):
    return Evaluation(NAMES, np.array(precisions), np.array(num_positives), 40, {"OF1": 2 / 3})


def test_the_table():
    lines = measured((30, 20, 0)).as_table().splitlines()
    assert lines[0].split() == ["label", "AP", "%", "positives"]
    assert [line.split() for line in lines[1:4]] == [
        ["cat", "50.0", "30"],
        ["dog", "100.0", "20"],
        ["cow", "0.0", "0"],
    ]
    assert lines[4].split() == ["mAP", "50.0", "40"]
    for line, least in ((lines[5], "1 positive"), (lines[6], "20 positives")):
        assert line.split("  ")[0] == f"mAP ({least} or more)"
        assert line.split()[-3:] == ["75.0", "2", "labels"]
    assert len(lines) == 7


@pytest.mark.parametrize("num_positives", [(20, 20, 21), (19, 19, 1)])
def test_the_table_says_frequent_only_where_that_is_a_part(num_positives):
    lines = measured(num_positives).as_table().splitlines()
    assert len(lines) == 5 and lines[-1].startswith("mAP ")


def test_long_names_widen_the_table():
    names = ("cat", "a label with a name that is longer than any other", "cow")
    found = Evaluation(names, np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3]), 6, {})
    lines = found.as_table().splitlines()
    assert {len(line) for line in lines} == {len(names[1]) + 2 + 6 + 2 + 9}


def test_the_dictionary():
    assert measured((30, 20, 0), (50.0, 100.0, 1 / 3)).as_dict() == {
        "mean_average_precision": 50.111,
        "mean_average_precision_frequent": 75.0,
        "frequent_means_at_least": 20,
        "num_images": 40,
        "decisions": {"OF1": 0.667},
        "labels": {
            "cat": {"average_precision": 50.0, "positives": 30},
            "dog": {"average_precision": 100.0, "positives": 20},
            "cow": {"average_precision": 0.333, "positives": 0},
        },
    }


def test_the_dictionary_without_frequent_labels():
    assert measured((1, 0, 19)).as_dict()["mean_average_precision_frequent"] is None

"""The draws of the field, and publishing one."""

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patchpu.data import Examples, draw_single_positive
from keras_patchpu.data.observed_labels import observe, read_observed, write_observed
from keras_patchpu.errors import InputError

NAMES = ("cat", "dog, hot", 'the "bird"', "牛")


def make_examples(labels, boxes=(), box_labels=()):
    labels = np.asarray(labels, "float32")
    return Examples(
        name="Pets",
        split="train",
        label_names=NAMES[: labels.shape[1]],
        keys=tuple(f"{row} é, {row}.jpg" for row in range(len(labels))),
        images=[b""] * len(labels),
        labels=labels,
        boxes=boxes,
        box_labels=box_labels,
    )


def test_uniform_and_mlspl_are_the_functions():
    labels = np.random.default_rng(0).integers(0, 2, (50, 4))
    labels[:, 0] = 1
    examples = make_examples(labels)
    # The published draw has the seed 1200, whatever that of a run.
    for draw, seed in (("uniform", 5), ("mlspl", 1200)):
        expected = draw_single_positive(labels, seed, examples.keys, draw)
        np.testing.assert_array_equal(observe(examples, draw, 5), expected)


def test_by_frequency():
    # cat in all of 2,000 images, dog in every one but the last 1,500: 4 to 1 where both are.
    labels = np.zeros((2000, 2))
    labels[:, 0] = 1
    labels[:500, 1] = 1
    observed = observe(make_examples(labels), "frequency", 0)
    assert (observed.sum(axis=1) == 1).all() and (labels[observed == 1] == 1).all()
    # 500 draws of chance 0.2: 100 +- 9.
    assert abs(observed[:, 1].sum() - 100) < 45


def test_by_area():
    # The cat has a quarter of the picture in two boxes, the dog a sixteenth: 4 to 1.
    boxes = np.array([[0, 0, 0.5, 0.25], [0, 0.5, 0.25, 1], [0.5, 0.5, 0.75, 0.75]], "float32")
    number = 1000
    examples = make_examples(np.ones((number, 2)), [boxes] * number, [np.array([0, 0, 1])] * number)
    observed = observe(examples, "area", 3)
    # 1,000 draws of chance 0.2: 200 +- 13.
    assert abs(observed[:, 1].sum() - 200) < 65


def test_by_area_without_boxes():
    with pytest.raises(InputError, match="Pets: 0 é, 0.jpg has no box"):
        observe(make_examples([[1, 0], [0, 1]], [np.zeros((0, 4))] * 2, [np.zeros(0, int)] * 2),
                "area", 0)  # fmt: skip
    with pytest.raises(InputError, match="has no box"):
        observe(make_examples([[1, 0]]), "area", 0)


def test_an_unknown_draw():
    with pytest.raises(InputError, match="no draw 'random': choose one of uniform, mlspl"):
        observe(make_examples([[1, 0]]), "random", 0)


@given(
    st.lists(st.floats(0, 10, allow_subnormal=False), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_weight_0_is_never_drawn(weights, seed):
    if sum(weights[:2]) == 0:
        with pytest.raises(ValueError, match="weight above 0"):
            draw_single_positive([[1, 1, 0]], seed, weights=[weights])
        return
    (column,) = np.flatnonzero(draw_single_positive([[1, 1, 0]], seed, weights=[weights])[0])
    assert column < 2 and weights[column] > 0


@pytest.mark.parametrize(
    "weights, draw", [([[1, 1]], "mlspl"), ([[1, -1]], "uniform"), ([[1]], "uniform")]
)
def test_wrong_weights(weights, draw):
    with pytest.raises(ValueError, match="weights"):
        draw_single_positive([[1, 1]], 0, draw=draw, weights=weights)


def test_weighted_draws_follow_the_weights():
    weights = np.tile([1.0, 2.0, 5.0], (4000, 1))
    observed = draw_single_positive(np.ones((4000, 3)), 1, weights=weights)
    # Deviations are 21, 27 and 31.
    np.testing.assert_allclose(observed.sum(axis=0), [500, 1000, 2500], atol=150)
    counts = collections.Counter(map(tuple, observed))
    assert set(counts) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_what_is_written_is_read(tmp_path):
    labels = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]])
    examples = make_examples(labels)
    observed = observe(examples, "uniform", 9)
    file = tmp_path / "draw.csv"
    write_observed(file, examples, observed)
    assert file.read_text(encoding="utf-8").splitlines()[0] == "file,label"
    np.testing.assert_array_equal(read_observed(file, examples), observed)
    np.testing.assert_array_equal(observe(examples, str(file), 0), observed)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_as_spreadsheets_write_it(tmp_path, encoding):
    file = tmp_path / "draw.csv"
    file.write_bytes('"file","label"\r\n"0 é, 0.jpg", cat\r\n\r\n'.encode(encoding))
    np.testing.assert_array_equal(read_observed(file, make_examples([[1, 0]])), [[1, 0]])


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "line 1: expected the header"),
        ("image,label\n", "line 1: expected the header"),
        ("file,label\n", "no label for 0 é, 0.jpg and 1 more"),
        ('file,label\n"0 é, 0.jpg",cat\n', "no label for 1 é, 1.jpg and 0 more"),
        ("file,label\nother.jpg,cat\n", "line 2: Pets train has no image 'other.jpg'"),
        ('file,label\n\n"0 é, 0.jpg",cow\n', "line 3: Pets train has no label 'cow'"),
        ('file,label\n"0 é, 0.jpg"\n', "line 2: expected a file and a label"),
        ('file,label\n"1 é, 1.jpg",cat\n', "line 2: 1 é, 1.jpg shows no cat"),
        ('file,label\n"0 é, 0.jpg,cat\n', "line 2: not CSV"),
    ],
)
def test_bad_files(tmp_path, content, message):
    file = tmp_path / "draw.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_observed(file, make_examples([[1, 0], [0, 1]]))
    assert message in str(error.value) and str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        observe(make_examples([[1, 0]]), str(tmp_path / "draw.csv"), 0)

"""How often labels are there, alone and together: by hand, and against counting one by one."""

import collections
import itertools

import numpy as np

from keras_patchpu.data import Examples, draw_single_positive
from keras_patchpu.inspection.report import inspect_labels, inspect_splits
from keras_patchpu.inspection.report_text import inspection_as_text

LABELS = [[1, 1, 0], [1, 1, -1], [0, 0, 0], [1, -1, 0], [1, 0, 1], [-1, -1, 0]]


def test_labels_by_hand():
    examples = Examples("mine", "val", ("cat", "dog", "cow"), tuple("abcdef"), (), np.array(LABELS))
    found = inspect_labels(examples)
    assert found["labels"] == [
        {"name": "cat", "positives": 4, "negatives": 1, "unknown": 1},
        {"name": "dog", "positives": 2, "negatives": 2, "unknown": 2},
        {"name": "cow", "positives": 1, "negatives": 4, "unknown": 1},
    ]
    assert found["labels_an_image"] == {"mean": round(7 / 6, 4), "histogram": [2, 1, 3]}
    assert found["images_without_positive"] == 2
    assert found["cooccurrence"] == [[4, 2, 1], [2, 2, 0], [1, 0, 1]]
    assert found["frequent_pairs"] == [
        {"labels": ["cat", "dog"], "images": 2},
        {"labels": ["cat", "cow"], "images": 1},
    ]
    assert found["kept_by_single_positive"] == round(4 / 7, 4)


def test_labels_against_counting_one_by_one():
    rng = np.random.default_rng(3)
    labels = rng.choice((-1.0, 0.0, 1.0), (300, 9), p=(0.1, 0.6, 0.3))
    names = tuple("abcdefghi")
    examples = Examples("mine", "train", names, tuple(map(str, range(300))), (), labels)
    found = inspect_labels(examples)
    sets = [{name for name, v in zip(names, row, strict=True) if v == 1} for row in labels]
    pairs = collections.Counter(
        pair for labels_of_one in sets for pair in itertools.combinations(sorted(labels_of_one), 2)
    )
    for (i, first), (j, second) in itertools.product(enumerate(names), repeat=2):
        expected = sum(first in s and second in s for s in sets)
        assert found["cooccurrence"][i][j] == expected
    assert [pair["images"] for pair in found["frequent_pairs"]] == [
        count for _, count in pairs.most_common(10)
    ]
    assert all(pairs[tuple(p["labels"])] == p["images"] for p in found["frequent_pairs"])
    lengths = collections.Counter(map(len, sets))
    assert found["labels_an_image"]["histogram"] == [
        lengths[number] for number in range(max(lengths) + 1)
    ]
    drawn = draw_single_positive(labels, seed=1)
    assert found["kept_by_single_positive"] == round(drawn.sum() / (labels == 1).sum(), 4)


def test_many_labels_an_image_are_summed_up():
    labels = np.tril(np.ones((30, 29)), -1)
    names, keys = tuple(map(str, range(29))), tuple(map(str, range(30)))
    examples = Examples("mine", "train", names, keys, [b""] * 30, labels)
    text = inspection_as_text(inspect_splits([examples]))
    lines = text[text.index("images with so many labels") :].split("\n\n")[0].splitlines()
    assert len(lines) == 21
    assert lines[1].split() == ["0", "1", "3.3"]
    assert lines[-1].split() == ["19", "or", "more", "11", "36.7"]

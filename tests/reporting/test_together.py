"""Labels together and confused: by loops over images, by scikit-learn, and by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import precision_score, recall_score

from keras_patchpu.reporting.together import (
    as_many_as_there_are,
    confusion,
    most_confused,
    occurring_together,
)

SHAPE = (12, 3)
LABELS = hnp.arrays("int8", SHAPE, elements=st.sampled_from([-1, 0, 1]))
FOUND = hnp.arrays(bool, SHAPE)
LOGITS = hnp.arrays("float32", SHAPE, elements=st.floats(-5, 5, width=32))


@given(present=FOUND)
def test_together_by_a_loop(present):
    shares = occurring_together(present)
    for row, column in np.ndindex(3, 3):
        both = sum(image[row] and image[column] for image in present.tolist())
        images = sum(image[row] for image in present.tolist())
        if images:
            assert np.isclose(shares[row, column], both / images)
        else:
            assert np.isnan(shares[row, column])


@given(labels=LABELS, found=FOUND)
def test_confusion_by_a_loop(labels, found):
    result = confusion(labels, found)
    for row, column in np.ndindex(3, 3):
        images = mistakes = absent = all_mistakes = 0
        for truth, answer in zip(labels.tolist(), found.tolist(), strict=True):
            if truth[column] == 0:
                absent += 1
                all_mistakes += answer[column]
                if truth[row] == 1:
                    images += 1
                    mistakes += answer[column]
        assert result.images[row, column] == images and result.mistakes[row, column] == mistakes
        usual = all_mistakes / absent if absent else 0
        assert np.isclose(result.surplus[row, column], mistakes - images * usual)
        assert np.isnan(result.shares[row, column]) == (images == 0)


@given(labels=LABELS, logits=LOGITS)
def test_precision_is_recall_where_no_scores_are_equal(labels, logits):
    # Distinct within a column.
    logits = logits.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    found = as_many_as_there_are(labels, logits)
    assert not found[labels == -1].any()
    for truth, answer in zip(labels.T, found.T, strict=True):
        known = truth >= 0
        num_present = (truth == 1).sum()
        assert answer.sum() == num_present
        if num_present:
            scores = (truth[known] == 1, answer[known])
            assert precision_score(*scores) == recall_score(*scores)


def test_equal_scores_are_found_together():
    labels = np.array([[1], [0], [0]])
    assert as_many_as_there_are(labels, np.zeros((3, 1))).all()
    assert not as_many_as_there_are(np.zeros((3, 1)), np.zeros((3, 1))).any()


def test_a_label_taken_for_another():
    """A dog (0) is taken for a cat (1) four times of five; nothing else is mistaken."""
    labels = np.array([[1, 0, 0]] * 5 + [[0, 1, 0]] * 5 + [[0, 0, 1]] * 10)
    found = labels == 1
    found[:4, 1] = True
    (pair,) = most_confused(confusion(labels, found), 10)
    assert (pair.there, pair.found, pair.images, pair.mistakes) == (0, 1, 5, 4)
    assert pair.usual == 4 / 15


def test_as_many_pairs_as_asked_for_the_worst_first():
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 2, (200, 6)), rng.random((200, 6)) < 0.5
    result = confusion(labels, found)
    pairs = most_confused(result, 3)
    surplus = [result.surplus[pair.there, pair.found] for pair in pairs]
    assert len(pairs) == 3 and surplus == sorted(surplus, reverse=True)
    assert surplus[0] == result.surplus.max()

"""What is said of a model where the truth is not known, against NumPy and by hand."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_patchpu.training import Agreement

NAMES = ("cat", "dog", "cow", "owl")
# Ranks of the positives: 1; 2; 1 and 3. The last image has none.
LOGITS = np.array([[2.0, 1, 0, -1], [2, 1, 0, -1], [0, 3, -1, -2], [0, 0, 1, 9]])
LABELS = np.array([[1, -1, -1, -1], [0, 1, -1, -1], [-1, 1, 1, 0], [-1, -1, -1, 0]])


def test_by_hand():
    found = Agreement(NAMES, LABELS, LOGITS)
    # A positive of rank r with k positives down to it counts k / r.
    assert found.headline == pytest.approx(100 * np.mean([1, 1 / 2, (1 / 1 + 2 / 3) / 2]))
    assert found.found_in_top(1) == pytest.approx(50)
    assert found.found_in_top(3) == pytest.approx(100)
    # Positives 2, 1, 3, -1 against negatives 2, -2, 9: 1.5 + 1 + 2 + 1 of 12 pairs.
    assert found.separation() == pytest.approx(100 * 5.5 / 12)


def test_the_table_and_the_json_say_the_same():
    found = Agreement(NAMES, LABELS, LOGITS)
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content["truth_known"] is False and content["num_images"] == 4
    assert content["positives_in_top"] == {"1": 50.0, "3": 100.0}
    cow = content["labels"]["cow"]
    assert (cow["positives"], cow["known_negatives"]) == (1, 0)
    assert cow["scores_of_known_negatives"] is None
    assert cow["scores_of_positives"] == [pytest.approx(100 / (1 + np.e), abs=0.01)] * 3
    table = found.as_table()
    assert "mAP cannot be known" in table.splitlines()[0]
    assert f"LRAP): {content['label_ranking_average_precision']:.1f}" in table
    assert "45.8 percent of the pairs" in table
    assert max(map(len, table.splitlines())) <= 100


def test_without_known_negatives_nothing_is_said_of_them():
    found = Agreement(NAMES, np.where(LABELS == 0, -1, LABELS), LOGITS)
    assert found.separation() is None and found.as_dict()["positives_above_known_negatives"] is None
    assert "negatives:" not in found.as_table()


@hypothesis.given(st.data(), st.integers(1, 6), st.integers(2, 5))
def test_one_positive_an_image_is_the_mean_reciprocal_rank(data, num_images, num_labels):
    logits = data.draw(
        hnp.arrays("float64", (num_images, num_labels), elements=st.floats(-9, 9), unique=True)
    )
    column = data.draw(hnp.arrays("int64", num_images, elements=st.integers(0, num_labels - 1)))
    labels = np.full(logits.shape, -1)
    labels[np.arange(num_images), column] = 1
    ranks = [1 + np.sum(row > row[c]) for row, c in zip(logits, column, strict=True)]
    found = Agreement(tuple("abcde"[:num_labels]), labels, logits)
    assert found.headline == pytest.approx(100 * np.mean(1 / np.array(ranks)))


def test_logits_that_are_not_numbers():
    assert np.isnan(Agreement(NAMES, LABELS, LOGITS * np.nan).headline)


def test_images_without_a_positive():
    assert Agreement(NAMES, np.full((3, 4), -1), LOGITS[:3]).headline == 0

"""Decision metrics, against scikit-learn and against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import precision_recall_fscore_support

from keras_patchpu.metrics import decision_metrics

SHAPE = (7, 6)


@given(
    hnp.arrays("int8", SHAPE, elements=st.sampled_from([0, 1])),
    hnp.arrays("float32", SHAPE, elements=st.sampled_from([-3.0, -0.5, 0.0, 0.5, 3.0])),
)
def test_precision_and_recall_are_those_of_scikit_learn(labels, logits):
    found = decision_metrics(labels, logits)
    for average, prefix in (("macro", "C"), ("micro", "O")):
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels, logits >= 0, average=average, zero_division=0
        )
        assert found[f"{prefix}P"] == pytest.approx(100 * precision)
        assert found[f"{prefix}R"] == pytest.approx(100 * recall)
        if average == "micro":  # the macro one is the mean of the F1s, see the docstring
            assert found["OF1"] == pytest.approx(100 * f1)
    total = found["CP"] + found["CR"]
    assert found["CF1"] == pytest.approx(2 * found["CP"] * found["CR"] / total if total else 0)


@given(
    hnp.arrays("int8", SHAPE, elements=st.sampled_from([-1, 0, 1])),
    st.permutations(range(SHAPE[0] * SHAPE[1])),
)
def test_the_best_labels_by_hand(labels, order):
    logits = np.reshape(order, SHAPE) / 10 - 2
    found = decision_metrics(labels, logits)
    for k in (1, 3, 5):
        shares = []
        for row, scores in zip(labels, logits, strict=True):
            if (row == -1).all():
                continue
            known = [label for label in range(SHAPE[1]) if row[label] >= 0]
            best = sorted(known, key=lambda label, scores=scores: -scores[label])[:k]
            shares.append(sum(row[label] == 1 for label in best) / len(best))
        assert found[f"P@{k}"] == pytest.approx(100 * np.mean(shares or [0]))


def test_an_image_of_which_nothing_is_known_does_not_count():
    labels, logits = np.array([[1, 0, 0], [-1, -1, -1]]), np.ones((2, 3))
    assert decision_metrics(labels, logits) == decision_metrics(labels[:1], logits[:1])
    assert set(decision_metrics(labels[1:], logits[1:]).values()) == {0.0}


def test_what_is_not_known_is_left_out():
    labels = np.array([[1, 0, -1], [1, -1, -1], [0, 1, -1]])
    logits = np.array([[1.0, 1.0, 9.0], [-1.0, 9.0, 9.0], [-1.0, 1.0, 9.0]])
    found = decision_metrics(labels, logits)
    # Predicted of what is known: two of the first image, none, and the second label of the third.
    assert found["OP"] == pytest.approx(200 / 3)
    assert found["OR"] == pytest.approx(200 / 3)
    assert (found["CP"], found["CR"]) == pytest.approx((100 * (1 + 0.5) / 3, 100 * (0.5 + 1) / 3))
    assert found["P@1"] == pytest.approx(100)
    assert found["P@5"] == pytest.approx(100 * (1 / 2 + 1 + 1 / 2) / 3)
    assert found["true_positives"] == 1
    high, low = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    assert found["expected_positives"] == pytest.approx((3 * high + 2 * low) / 3)


def test_nothing_predicted_and_nothing_present():
    found = decision_metrics(np.zeros((2, 3)), np.full((2, 3), -5.0))
    figures = ("CP", "CR", "CF1", "OP", "OR", "OF1", "P@1", "P@3", "P@5", "true_positives")
    assert [found[name] for name in figures] == [0] * 10


def test_shapes():
    with pytest.raises(ValueError, match="`labels` or `logits`.*Received"):
        decision_metrics(np.zeros((2, 3)), np.zeros((2, 4)))

"""Which images are shown: planted ones, and what holds for all."""

import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_patchpu.reporting.cases import MOST_OF_A_LABEL, highest_absent, ranked_cases

SHAPE = (15, 3)
LABELS = hnp.arrays("int8", SHAPE, elements=st.sampled_from([-1, 0, 1]))
LOGITS = hnp.arrays("float32", SHAPE, elements=st.floats(-5, 5, width=32))


def margin(labels, logits):
    """By its definition; None for an image that has not both."""
    present = [logit for label, logit in zip(labels, logits, strict=True) if label == 1]
    absent = [logit for label, logit in zip(labels, logits, strict=True) if label == 0]
    return min(present) - max(absent) if present and absent else None


@given(labels=LABELS, logits=LOGITS, count=st.integers(0, 8))
def test_ranked_cases(labels, logits, count):
    best, worst = ranked_cases(labels == 1, labels == 0, logits, count)
    for cases, sign in ((best, 1), (worst, -1)):
        assert len(cases) <= count
        assert len({case.row for case in cases}) == len(cases)
        for case in cases:
            assert np.isclose(case.margin, margin(labels[case.row], logits[case.row]))
            assert sign * case.margin > 0
    for case in best:
        assert all(labels[case.row, column] == 1 for column in case.columns)
    for case in worst:
        present, absent = case.columns
        assert labels[case.row, present] == 1 and labels[case.row, absent] == 0
        assert np.isclose(logits[case.row, present] - logits[case.row, absent], case.margin)
    assert [case.margin for case in worst] == sorted(case.margin for case in worst)


@given(labels=LABELS, logits=LOGITS, count=st.integers(0, 8))
def test_highest_absent(labels, logits, count):
    cases = highest_absent(labels == 0, logits, count)
    assert len(cases) <= count and len({case.row for case in cases}) == len(cases)
    values = [case.margin for case in cases]
    assert values == sorted(values, reverse=True)
    columns = collections.Counter(case.columns[0] for case in cases)
    assert all(number <= MOST_OF_A_LABEL for number in columns.values())
    for case in cases:
        (column,) = case.columns
        assert labels[case.row, column] == 0 and logits[case.row, column] == case.margin
    if cases:
        assert values[0] == logits[labels == 0].max()


def test_planted():
    labels = np.zeros((40, 10), int)
    labels[np.arange(40), np.arange(40) % 10] = 1
    logits = np.where(labels, 1.0, -1.0)
    logits[7] = np.where(labels[7], -8.0, -1.0)  # misses 7, and most of all
    logits[7, 3] = 6.0  # for a 3
    logits[11, 1] = 9.0  # is surest of the label that is there
    labels[22, 5] = 1  # has two labels
    logits[22, 5] = 0.5
    logits[30, 4] = 5.0
    best, worst = ranked_cases(labels == 1, labels == 0, logits, 3)
    # That with two labels first, for it is harder; then by margin.
    assert (best[0].row, best[0].columns) == (22, (5, 2))
    assert (best[1].row, best[1].columns) == (11, (1,))
    assert [(case.row, case.columns) for case in worst] == [(7, (7, 3)), (30, (0, 4))]
    assert worst[0].margin == -14
    assert [case.row for case in highest_absent(labels == 0, logits, 2)] == [7, 30]


def test_not_all_of_one_label():
    labels = np.zeros((20, 2), int)
    labels[:, 0] = 1
    labels[10:] = [0, 1]
    logits = np.where(labels, 5.0, -5.0) * np.linspace(2, 1, 20)[:, None]
    best, _ = ranked_cases(labels == 1, labels == 0, logits, 6)
    assert [case.row for case in best] == [0, 1, 10, 11]


def test_nothing_to_show():
    labels = np.ones((3, 2))
    assert ranked_cases(labels == 1, labels == 0, np.zeros((3, 2)), 4) == ([], [])
    assert highest_absent(labels == 0, np.zeros((3, 2)), 4) == []
    assert ranked_cases(labels[:0] == 1, labels[:0] == 0, np.zeros((0, 2)), 4) == ([], [])

"""Groups of scores: each pair in the one that it belongs to."""

import numpy as np

from keras_patchpu.reporting.score_groups import groups_of_test, groups_of_training

#                observed, missed, absent, known absent, unknown
LABELS = np.array([[1, 1, 0, 0, -1]])
OBSERVED = np.array([[1, 0, 0, -1, 0]])
LOGITS = np.array([[10.0, 20.0, 30.0, 40.0, 50.0]])


def as_dict(groups):
    return {group.title: group.logits.tolist() for group in groups}


def test_training_with_the_truth():
    assert as_dict(groups_of_training(LABELS, OBSERVED, LOGITS, True)) == {
        "observed: present": [10],
        "observed: absent": [40],
        "not observed, but present": [20],
        "not observed, absent": [30],
    }


def test_training_without_the_truth():
    assert as_dict(groups_of_training(LABELS, OBSERVED, LOGITS, False)) == {
        "observed: present": [10],
        "observed: absent": [40],
        "not observed": [20, 30, 50],
    }


def test_test_images():
    known = {"present": [10, 20], "absent": [30, 40]}
    assert as_dict(groups_of_test(LABELS, LOGITS, True)) == known
    assert as_dict(groups_of_test(LABELS, LOGITS, False)) == {**known, "not known": [50]}


def test_no_group_is_empty():
    assert as_dict(groups_of_test(np.zeros((1, 5)), LOGITS, False)) == {
        "absent": [10, 20, 30, 40, 50]
    }

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_patchpu.metrics import weak_negative_report

SHAPES = st.shared(st.tuples(st.integers(1, 20), st.integers(1, 4)), key="shape")
SIGNS = hnp.arrays("float32", SHAPES, elements=st.sampled_from([-1, 0, 1]))
# Some on the edges of the tenths, and beyond what a cosine can be.
WEIGHTS = hnp.arrays(
    "float32",
    SHAPES,
    elements=st.one_of(
        st.sampled_from([-0.25, 0, 0.1, 0.3, 0.5, 1, 1.0000001192092896]),
        st.floats(0, 1, width=32),
    ),
)


def ratio(part, whole):
    return part / whole if whole else None


def totals(entries):
    """The figures of a list of `(absent, weight)`, one at a time."""
    absent = [weight for is_absent, weight in entries if is_absent]
    found = [is_absent for is_absent, weight in entries if weight > 0]
    return {
        "unobserved": len(entries),
        "absent": len(absent),
        "weak_negatives": len(found),
        "base_rate": ratio(len(absent), len(entries)),
        "precision": ratio(found.count(True), len(found)),
        "weighted_precision": ratio(sum(absent), sum(weight for _, weight in entries)),
        "recall": ratio(sum(weight > 0 for weight in absent), len(absent)),
        "weighted_recall": ratio(sum(absent), len(absent)),
    }


def tenths(entries):
    rows = []
    for place in range(10):
        low, high = place / 10, (place + 1) / 10
        inside = [is_absent for is_absent, weight in entries if low < weight <= high]
        absent = [weight for is_absent, weight in entries if is_absent]
        rows.append(
            {
                "above": low,
                "up_to": high,
                "count": len(inside),
                "absent": inside.count(True),
                "precision": ratio(inside.count(True), len(inside)),
                "recall_above": ratio(sum(weight > low for weight in absent), len(absent)),
            }
        )
    return rows


def reference(labels, observed, weak_negatives, label_names):
    columns = {name: [] for name in label_names}
    for row, column in np.ndindex(labels.shape):
        if observed[row, column] == 0 and labels[row, column] != -1:
            weight = min(max(float(weak_negatives[row, column]), 0.0), 1.0)
            columns[label_names[column]].append((labels[row, column] == 0, weight))
    entries = [entry for name in label_names for entry in columns[name]]
    return {
        **totals(entries),
        "tenths": tenths(entries),
        "labels": {name: totals(columns[name]) for name in label_names},
    }


def assert_close(one, other):
    """Equal numbers in equal places, but for rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_close(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_close(first, second)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-6)
    else:
        assert one == other and type(one) is type(other)


@given(SIGNS, SIGNS, WEIGHTS)
def test_equals_a_loop(labels, observed, weak_negatives):
    names = [f"label {column}" for column in range(labels.shape[1])]
    report = weak_negative_report(labels, observed, weak_negatives, names)
    assert_close(report, reference(labels, observed, weak_negatives, names))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert sum(row["count"] for row in report["tenths"]) == report["weak_negatives"]
    assert report["tenths"][0]["recall_above"] == report["recall"]


def test_hand_worked():
    # Two images, three labels; the cat of the first and the dog of the second are observed.
    labels = np.array([[1, 0, 1], [0, 1, 0]])
    observed = np.array([[1, 0, 0], [0, 1, 0]])
    weights = np.array([[0, 0.95, 0.25], [0.5, 0, 0]])
    report = weak_negative_report(labels, observed, weights, ["cat", "dog", "cow"])
    # Unobserved are the absent with 0.95, 0.5 and 0, and a hidden cow with 0.25.
    assert report["unobserved"] == 4 and report["absent"] == 3 and report["weak_negatives"] == 3
    assert report["base_rate"] == 0.75
    assert report["precision"] == report["recall"] == pytest.approx(2 / 3, abs=1e-6)
    assert report["weighted_precision"] == pytest.approx(1.45 / 1.7, abs=1e-6)
    assert report["weighted_recall"] == pytest.approx(1.45 / 3, abs=1e-6)
    filled = {row["up_to"]: row["precision"] for row in report["tenths"] if row["count"]}
    assert filled == {0.3: 0.0, 0.5: 1.0, 1.0: 1.0}
    above = [row["recall_above"] for row in report["tenths"]]
    assert above == pytest.approx([2 / 3] * 5 + [1 / 3] * 5, abs=1e-6)
    assert report["labels"]["cow"]["precision"] == 0.0 and report["labels"]["cow"]["recall"] == 0.0
    assert report["labels"]["dog"]["precision"] == 1.0 and report["labels"]["dog"]["recall"] == 1.0


def test_perfect_and_useless_weak_negatives():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(50, 6)) < 0.3).astype("float32")
    observed = np.zeros_like(labels)
    perfect = weak_negative_report(labels, observed, 1 - labels, list("abcdef"))
    for name in ("precision", "weighted_precision", "recall", "weighted_recall"):
        assert perfect[name] == 1.0
    useless = weak_negative_report(labels, observed, np.full_like(labels, 0.5), list("abcdef"))
    assert useless["precision"] == useless["weighted_precision"] == useless["base_rate"]
    assert useless["recall"] == 1.0 and useless["weighted_recall"] == 0.5


@pytest.mark.parametrize("wrong", ["labels", "observed", "weak_negatives", "label_names"])
def test_shapes_that_differ(wrong):
    arguments = {name: np.zeros((3, 2)) for name in ("labels", "observed", "weak_negatives")}
    arguments["label_names"] = ["cat", "dog"]
    arguments[wrong] = arguments[wrong][:1]
    with pytest.raises(ValueError, match=r"Expected shape `\(N, [12]\)`"):
        weak_negative_report(**arguments)

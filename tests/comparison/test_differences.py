"""Which differences are called larger than the spread over seeds."""

import numpy as np
import pytest
from scipy import stats

from keras_patchpu.comparison.differences import differences_as_markdown, welch_p_value


def last(result):
    return result.last


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5)])
def test_p_values_are_those_of_the_formula(sizes):
    generator = np.random.default_rng(0)
    first, second = (generator.normal(20 + 2 * i, 1 + i, size) for i, size in enumerate(sizes))
    errors = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    t = (np.mean(first) - np.mean(second)) / np.sqrt(sum(errors))
    degrees = sum(errors) ** 2 / sum(
        error**2 / (len(values) - 1) for error, values in zip(errors, (first, second), strict=True)
    )
    expected = 2 * stats.t.sf(abs(t), degrees)
    assert welch_p_value(list(first), list(second)) == pytest.approx(expected)


def test_what_cannot_be_tested():
    assert welch_p_value([1.0], [2.0, 3.0]) is None
    assert welch_p_value([2.0, 3.0], [1.0]) is None
    assert welch_p_value([2.0, 2.0], [3.0, 3.0]) is None
    assert 0 < welch_p_value([2.0, 2.0], [3.0, 3.5]) < 1


def test_the_table(make_rows):
    rows = make_rows(
        {
            ("patch", "bce"): [30.0, 30.2, 30.4],
            ("patch", "wn"): [20.0, 20.2, 20.4],
            ("patch", "an"): [19.0, 20.0, 21.0],
            ("resnet50", "an"): [10.0, 11.0, 12.0],
            ("query2label", "an"): [10.0, 11.0, 12.0],
            ("query2label", "wn"): [5.0],
        }
    )
    text = differences_as_markdown(rows, last)
    lines = text.splitlines()
    assert lines[:5] == [
        "| patch | `bce` | `wn` | `an` |",
        "|---|---:|---:|---:|",
        "| `bce` |  | **+10.0** | **+10.2** |",
        "| `wn` | **-10.0** |  | +0.2 |",
        "| `an` | **-10.2** | -0.2 |  |",
    ]
    assert lines[6:10] == [
        "| query2label | `an` | `wn` |",
        "|---|---:|---:|",
        "| `an` |  | +6.0 ? |",
        "| `wn` | -6.0 ? |  |",
    ]
    assert "| resnet50 |" not in text  # a single loss
    assert lines[11:15] == [
        "| loss | patch less resnet50 | patch less query2label | resnet50 less query2label |",
        "|---|---:|---:|---:|",
        "| `wn` |  | +15.2 ? |  |",
        "| `an` | **+9.0** | **+9.0** | +0.0 |",
    ]
    assert "p < 0.05" in text and "of 8, about 0.4 would be bold by chance" in text
    assert "Two seeds decide little" in text


def test_models_alone(make_rows):
    maps = {("patch", "an"): [20.0, 21.0, 22.5], ("resnet50", "an"): [20.0, 21.0, 22.0]}
    lines = differences_as_markdown(make_rows(maps), last).splitlines()
    assert lines[:3] == ["| loss | patch less resnet50 |", "|---|---:|", "| `an` | +0.2 |"]
    assert "of 1," in lines[4]


def test_three_seeds_need_no_warning(make_rows):
    rows = make_rows({("patch", loss): [20.0, 21.0, 22.5] for loss in ("wn", "an")})
    assert "Two seeds decide little" not in differences_as_markdown(rows, last)


def test_nothing_to_compare(make_rows):
    assert "no two losses" in differences_as_markdown(make_rows({("patch", "wn"): [1.0]}), last)

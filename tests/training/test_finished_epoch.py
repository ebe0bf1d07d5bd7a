"""The line of an epoch and its JSON object, whatever the numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_patchpu.training import Agreement, Evaluation
from keras_patchpu.training.finished_epoch import FinishedEpoch, print_line


def evaluation(precision=50.0):
    return Evaluation(("cat",), np.array([precision]), np.array([1]), 9, {})


def agreement(labels=((1, -1), (-1, 1)), logits=((2.0, 1.0), (1.0, 2.0))):
    return Agreement(("cat", "dog"), np.array(labels), np.array(logits))


def finished(number=3, epochs=25, loss=0.5, speed=40.0, seconds_left=61.0, measured=None):
    measured = measured or evaluation()
    row = {
        "epoch": number,
        "loss": f"{loss:.6f}",
        measured.column: f"{measured.headline:.3f}",
        "images_per_second": f"{speed:.2f}",
        "seconds": "12.5",
    }
    return FinishedEpoch(row, epochs, measured, seconds_left)


def test_the_line():
    line = finished(loss=12345.678, speed=12345.6, seconds_left=360_061).as_line()
    assert line == (
        "epoch   3/25  loss 12345.678  test mAP  50.0  12345.6 images/s  100:01:01 left"
    )


def test_lines_of_a_run_stand_under_each_other():
    lines = [finished(1, loss=7.25).as_line(), finished(25, loss=123.5, speed=1234.5).as_line()]
    assert len({line.index("images/s") for line in lines}) == 1


# The longest of everything that a run may have.
@example(999, 999, 12345.678, 12345.6, 400 * 3600.0, 100.0)
@example(10**6, 10**6, -99999.9994, 99999.94, 1e5 * 3600 - 1, 100.0)
@given(
    number=st.integers(1, 10**6),
    epochs=st.integers(1, 10**6),
    loss=st.floats(allow_nan=False, allow_infinity=False),
    speed=st.floats(0, exclude_min=True, allow_infinity=False),
    seconds_left=st.floats(0, allow_infinity=False),
    precision=st.floats(0, 100),
)
def test_a_line_fits_100_columns(number, epochs, loss, speed, seconds_left, precision):
    for measured in (evaluation(precision), agreement()):
        line = finished(number, epochs, loss, speed, seconds_left, measured).as_line()
        assert len(line) <= 100 and "\n" not in line, line
        assert line.startswith(f"epoch {number:3d}/{epochs}  loss ") and line.endswith(" left")
        assert f"  {measured.title} {measured.headline:5.1f}  " in line


@given(loss=st.floats(-1e300, 1e300))
def test_the_loss_can_be_read_back(loss):
    words = finished(loss=loss).as_line().split()
    assert float(words[words.index("loss") + 1]) == pytest.approx(loss, rel=1e-3, abs=6e-4)


def test_the_time_left_is_in_hours_minutes_and_seconds():
    for seconds, text in ((0, "00:00"), (59.4, "00:59"), (3600, "1:00:00"), (1e9, "1.000e+09 s")):
        assert finished(seconds_left=seconds).as_line().endswith(f"images/s  {text} left")


@pytest.mark.parametrize("measured", [evaluation(1 / 3), agreement()])
def test_the_object_has_the_numbers_of_the_history(measured):
    found = json.loads(json.dumps(finished(measured=measured).as_dict(), allow_nan=False))
    assert found == {
        "epoch": 3,
        "epochs": 25,
        "loss": 0.5,
        measured.column: round(measured.headline, 3),
        "images_per_second": 40.0,
        "seconds": 12.5,
        "seconds_left": 61.0,
    }
    assert isinstance(found["epoch"], int)


def test_what_is_no_number_is_null():
    epoch = finished()
    epoch.row["validation_map"] = "nan"
    found = json.loads(json.dumps(epoch.as_dict(), allow_nan=False))
    assert found["validation_map"] is None and math.isfinite(found["loss"])


def test_it_is_printed_at_once(monkeypatch):
    flushed = []
    monkeypatch.setattr("builtins.print", lambda line, flush: flushed.append((line, flush)))
    print_line(finished())
    assert flushed == [(finished().as_line(), True)]

"""Charts: what is drawn is what was given, in the page's colours, whatever labels are called."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_patchpu.reporting import charts
from keras_patchpu.reporting.calibration import measure_calibration
from keras_patchpu.reporting.charts.drawing import LONGEST_NAME
from keras_patchpu.reporting.score_groups import ScoreGroup


def texts(chart):
    return ["".join(text.itertext()) for text in ElementTree.fromstring(chart.svg).iter("text")]


def points(chart, colour="--blue", least=2):
    """The corners of the first line of a colour."""
    for path in ElementTree.fromstring(chart.svg).iter("path"):
        style = path.get("style", "")
        if f"stroke: var({colour})" in style and "fill: none" in style:
            numbers = re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path.get("d"))
            if len(numbers) >= least:
                return np.array(numbers, float)
    raise AssertionError(f"no line of {colour}")


def bars(chart, colour="--blue"):
    """The widths of the rectangles of a colour, from above."""
    found = []
    for path in ElementTree.fromstring(chart.svg).iter("path"):
        if f"fill: var({colour})" in path.get("style", ""):
            corners = np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path.get("d")), float)
            found.append((corners[:, 1].min(), np.ptp(corners[:, 0]), path.get("style")))
    return sorted(found)


def test_curves_go_where_the_values_are():
    values = [3.0, 2.5, 2.75, 1.0]
    chart = charts.draw_curves("loss", "Loss", [charts.Curve(None, values)])
    line = points(chart, least=4)
    # From above: the larger, the smaller the number.
    assert np.corrcoef(line[:, 1], values)[0, 1] == pytest.approx(-1)
    assert np.corrcoef(line[:, 0], [1, 2, 3, 4])[0, 1] == pytest.approx(1)
    assert {"Loss", "epoch", "1", "4"} <= set(texts(chart))
    assert chart.alt == "Line chart of Loss: from 3 in the first epoch to 1 in the last of 4"


@pytest.mark.parametrize("num_epochs", [1, 2, 7, 25, 100, 1000])
def test_any_number_of_epochs(num_epochs):
    curves = [charts.Curve(f"{k}", [k + e for e in range(num_epochs)]) for k in range(9)]
    chart = charts.draw_curves("many", "Many", curves, "%")
    assert {str(k) for k in range(9)} <= set(texts(chart))
    speeds = charts.draw_by_epoch("speed", "Speed", [5.0] * num_epochs, "images a second")
    assert len(bars(speeds)) == num_epochs


def test_a_band_around_a_curve():
    curve = charts.Curve("wn", [2.0, 3.0], [(1.0, 3.0), (2.0, 4.0)])
    assert "var(--blue)" in charts.draw_curves("a", "A", [curve]).svg


def test_average_precisions():
    names, precisions, positives = ["cat", "dog", "bird"], [40.0, 80.0, 20.0], [300, 1200, 7]
    chart = charts.draw_average_precisions("ap", names, precisions, positives, few=20)
    widths = [width for _, width, _ in bars(chart)]
    np.testing.assert_allclose(np.array(widths) / widths[0], [1, 0.5, 0.25], rtol=1e-3)
    pale = ["opacity: 0.35" in style for _, _, style in bars(chart)]
    assert pale == [False, False, True]
    assert {"cat", "dog", "bird", "80.0", "40.0", "20.0", "1,200", "300", "7"} <= set(texts(chart))
    assert "dog with 80.0" in chart.alt and "bird with 20.0" in chart.alt


def test_of_many_labels_the_best_and_the_worst_are_drawn():
    names = [f"label {number}" for number in range(312)]
    precisions = list(np.linspace(0, 99, 312))
    chart = charts.draw_average_precisions("ap", names, precisions, [5] * 312, few=20)
    assert len(bars(chart)) == 60
    drawn = set(texts(chart))
    assert {"label 311", "label 282", "label 0", "label 29"} <= drawn
    assert not {"label 281", "label 30"} & drawn and "and 252 labels between" in drawn


def test_labels_without_any_precision():
    chart = charts.draw_average_precisions("ap", ["a", "b"], [0.0, 0.0], [0, 0], few=20)
    assert len(bars(chart)) == 2


def test_shares_are_the_opacity_of_their_squares():
    shares = np.array([[np.nan, 0.5, 0.1], [0.25, np.nan, 0.0], [0.4, 0.3, np.nan]])
    chart = charts.draw_shares("pairs", "Pairs", ["a", "b", "c"], shares, "which go together")
    (image,) = ElementTree.fromstring(chart.svg).iter("image")
    encoded = image.get("href").removeprefix("data:image/png;base64,")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
    if "scale(1 -1)" in image.get("transform", ""):
        pixels = pixels[::-1]
    assert pixels.shape == (3, 3, 4)
    np.testing.assert_allclose(pixels[..., 3] / 255, np.nan_to_num(shares) / 0.5, atol=0.005)
    assert {"50", "10", "25", "40", "30"} <= set(texts(chart)) and "0" not in texts(chart)
    assert chart.alt == "which go together"


def test_score_groups():
    rng = np.random.default_rng(0)
    groups = [ScoreGroup("present", rng.normal(2, 1, 500)), ScoreGroup("absent", np.full(9, -3.0))]
    chart = charts.draw_score_groups("scores", "Scores", groups)
    assert {"present (500)", "absent (9)", "50", "Scores"} <= set(texts(chart))
    # Steps: their highest is where most of the group is.
    steps = points(chart, least=40)
    peak = steps[steps[:, 1].argmin(), 0]
    ticks = {
        "".join(text.itertext()): float(text.get("x"))
        for text in ElementTree.fromstring(chart.svg).iter("text")
    }
    a_logit = (ticks["90"] - ticks["50"]) / np.log(9)
    assert (peak - ticks["50"]) / a_logit == pytest.approx(2, abs=0.6)
    assert "present, 500 pairs, median 88 percent" in chart.alt


@pytest.mark.parametrize("logit", [-1e30, -200.0, 0.0, 200.0, 1e30])
def test_scores_of_any_size(logit):
    groups = [ScoreGroup("a", np.array([logit])), ScoreGroup("b", np.array([0.0, logit]))]
    assert "a (1)" in texts(charts.draw_score_groups("scores", "Scores", groups))


def test_reliability():
    labels = np.array([[1, 0], [1, 0], [0, 0]])
    logits = np.array([[2.0, -2.0], [1.0, -3.0], [0.5, 0.1]])
    calibration = measure_calibration(labels, logits)
    chart = charts.draw_reliability("reliability", calibration)
    line = points(chart, least=3)
    full = calibration.counts > 0
    assert np.corrcoef(line[:, 0], calibration.mean_scores[full])[0, 1] == pytest.approx(1)
    assert np.corrcoef(line[:, 1], calibration.shares_present[full])[0, 1] == pytest.approx(-1)
    assert "mathdefault" not in chart.svg


def test_dots_of_runs():
    rows = [
        charts.DotRow("patch", "bce", [60.0, 62.0], True, [(61.6, 0)]),
        charts.DotRow("patch", "wn", [50.0], False, []),
        charts.DotRow("resnet50", "an", [40.0], False, [(46.0, 1), (45.0, 2)]),
    ]
    chart = charts.draw_dots("results", "Test mAP", rows)
    assert {"61.0", "50.0", "40.0", "patch", "resnet50", "wn"} <= set(texts(chart))
    widths = [width for _, width, _ in bars(chart, "--orange")[:1] + bars(chart)]
    assert "published, source 3 below" in texts(chart)
    np.testing.assert_allclose(np.array(widths[-2:]) / widths[0], [50 / 61, 40 / 61], rtol=1e-3)


def test_costs_of_nothing():
    chart = charts.draw_costs("cost", "Memory", ["a", "b"], [0.0, 0.0], "GB", 1)
    assert texts(chart).count("0.0") >= 2


def test_colours_and_fonts_are_the_pages():
    chart = charts.draw_curves("a", "A", [charts.Curve("x", [1, 2]), charts.Curve("y", [2, 1])])
    assert "var(--blue)" in chart.svg and "var(--ink)" in chart.svg and "var(--line)" in chart.svg
    assert not re.findall("#[0-9a-f]{6}", chart.svg)
    assert "font-family" not in chart.svg and "<style" not in chart.svg
    assert "http" not in chart.svg and "xmlns" not in chart.svg


def test_two_charts_have_no_id_in_common():
    curves = [charts.Curve(None, [1, 2, 3])]
    found = []
    for name in ("one", "two"):
        svg = charts.draw_curves(name, "Same", curves).svg
        ids = set(re.findall(r'\bid="([^"]*)"', svg))
        used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
        assert used and {first or second for first, second in used} <= ids
        found.append(ids)
    assert not found[0] & found[1]


def test_the_same_chart_is_the_same_text():
    def draw():
        return charts.draw_curves("a", "A", [charts.Curve(None, [1, 2])])

    assert draw() == draw()


@settings(max_examples=8)
@given(names=st.lists(st.text(max_size=80), min_size=2, max_size=4))
@example(["<script>alert(1)</script>", "$x$ $\\frac{", "日本語 العربية", "\x00\ud800\n]]>&amp;"])
def test_labels_of_any_name(names):
    chart = charts.draw_average_precisions("ap", names, [1.0] * len(names), [1] * len(names), 20)
    assert {charts.shown_name(name) for name in names} <= set(texts(chart))
    assert chart.svg.replace("\n", "").isprintable()
    assert "<script" not in chart.svg


@given(name=st.text(max_size=200))
def test_shown_names(name):
    shown = charts.shown_name(name)
    assert 0 < len(shown) <= LONGEST_NAME
    assert shown.isprintable() and shown == " ".join(shown.split())
    shown.encode("utf-8")

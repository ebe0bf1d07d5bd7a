"""The report of a run: what stands in it, for data of every kind and labels of any name."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from keras_patchpu.errors import InputError
from keras_patchpu.reporting.page import FILE, as_percent, write_page
from keras_patchpu.reporting.run_facts import Gallery
from keras_patchpu.reporting.run_report import render_run_report
from keras_patchpu.reporting.run_tables import best_epoch, data_facts

DAY = "3 May 2027"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}",
    "a&amp;b$x$",
]


@pytest.fixture(scope="module")
def usual(make_facts, read_page):
    """A run with everything, and its page."""
    facts = make_facts()
    return facts, read_page(render_run_report(facts, DAY))


def sections(page):
    return [attributes["id"] for attributes in page.all("section")]


def test_all_sections(usual):
    facts, page = usual
    assert page.external == []
    assert sections(page) == [
        *("run", "curves", "labels", "scores", "weak", "together", "calibration"),
        *("gallery", "doubts", "cost"),
    ]
    assert page.headings[0] == (1, "wn on photos")
    assert "photos-wn-0" in page.text and DAY in page.text
    for said in ("900", "12,345", "2×2 + 1×1 patches of 32 pixels", "adam, 0.001 (cosine)"):
        assert said in page.text
    charts = [chart["aria-label"] for chart in page.all("svg")]
    assert len(charts) == 11
    assert len(page.all("img")) == sum(
        1 + len(case.maps) for kind in vars(facts.gallery).values() for case in kind
    )


def test_the_figures_are_those_of_scikit_learn(usual):
    facts, page = usual
    precisions = [
        100 * average_precision_score(truth, scores)
        for truth, scores in zip(facts.test.labels.T, facts.test.logits.T, strict=True)
    ]
    assert f"{np.mean(precisions):.1f}" in page.text
    for precision in precisions:
        assert f"{precision:.1f}" in page.text
    assert f"{facts.test.labels.sum() / 60:.2f} in the test images" in page.text


def test_decisions_are_those_of_scikit_learn(usual):
    facts, page = usual
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    truth, found = facts.test.labels, facts.test.logits >= 0
    precision, recall, f1, _ = precision_recall_fscore_support(truth, found, average="micro")
    assert f"{100 * precision:.1f}, {100 * recall:.1f}, {100 * f1:.1f} %" in text


def test_a_run_with_options_of_its_loss(make_facts, read_page):
    facts = make_facts()
    facts.config["loss_options"] = {"theta": 0.1}
    assert "wn, theta 0.1" in read_page(render_run_report(facts, DAY)).text


def test_weak_negatives_by_label(usual):
    """As in `_weak`: of label 2 half of the absent and one of two hidden have one."""
    text = " ".join(usual[1].text.replace("\N{NO-BREAK SPACE}%", "%").split())
    columns = "label absent of these found hidden of these found precision after epoch 1 of a guess"
    most, least = "label 3 100 50.0% 3 33.3% 98.0% 97.0% 97.1%", "label 0 100 50.0% 0 –"
    assert f"{columns} {most} label 2 100 50.0% 2 50.0% 98.0% 97.0% 98.0%" in text and least in text


def test_every_picture_says_what_it_is(usual):
    facts, page = usual
    alts = [image["alt"] for image in page.all("img")]
    worst = facts.gallery.worst[0].case
    key, names = facts.test.keys[worst.row], facts.config["label_names"]
    present = [names[c] for c in np.flatnonzero(facts.test.labels[worst.row] == 1)]
    (picture,) = {alt for alt in alts if alt.startswith(f"{key}: label")}
    assert set(picture.removeprefix(f"{key}: ").split(", ")) == set(present)
    missed = names[worst.columns[0]]
    score = 1 / (1 + np.exp(-facts.test.logits[worst.row, worst.columns[0]]))
    assert (
        f"{key}: where the model looks for {missed}, to which it gives {100 * score:.0f} percent: "
        "top left" in alts
    )


def test_labels_and_files_of_strangers_are_escaped(make_facts, read_page):
    facts = make_facts(names=HOSTILE, data=HOSTILE[0], draw=HOSTILE[1])
    keys = tuple(f"{HOSTILE[row % 2]}{row}\udcff\x07" for row in range(60))
    facts = dataclasses.replace(facts, test=dataclasses.replace(facts.test, keys=keys))
    text = render_run_report(facts, DAY)
    page = read_page(text)
    assert "alert(1)" in page.text and "{{ 7 * 7 }}" in page.text and "a&amp;b$x$" in page.text
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert "<script" not in text and "<img src=x" not in text
    text.encode("utf-8")


@pytest.mark.parametrize("num_labels", [2, 312])
def test_any_number_of_labels(make_facts, read_page, num_labels):
    facts = make_facts(num_labels, num_images=150, epochs=25)
    page = read_page(render_run_report(facts, DAY))  # which checks that it is below 5 MB
    rows = [a for a in page.all("th") if a.get("scope") == "row"]
    assert len(rows) >= num_labels
    said = "Drawn are the 20 labels" in " ".join(page.text.split())
    assert said == (num_labels > 20)


def test_without_truth_nothing_is_claimed(make_facts, read_page):
    facts = make_facts(truth_known=False, weak_negatives=False, draw="given")
    labels = np.where(facts.test.labels == 1, 1, -1)
    facts = dataclasses.replace(facts, test=dataclasses.replace(facts.test, labels=labels))
    page = read_page(render_run_report(facts, DAY))
    assert sections(page) == [
        *("run", "curves", "labels", "scores", "together", "gallery", "doubts", "cost")
    ]
    assert "mAP cannot be known" in page.text and "test mAP" not in page.text
    assert "What nobody has named" in page.text and "LRAP" in page.text
    assert "not named, highest:" in page.text and "absent, highest:" not in page.text


def test_odd_truth(make_facts, read_page):
    """Known in part, a label without an image, and images without a label."""
    facts = make_facts(unknown=0.3)
    labels = facts.test.labels.copy()
    labels[:, 0] = 0
    labels[5:] = 0
    facts = dataclasses.replace(facts, test=dataclasses.replace(facts.test, labels=labels))
    assert "labels" in sections(read_page(render_run_report(facts, DAY)))


@pytest.mark.parametrize("value", [0, 1])
def test_all_labels_alike(make_facts, read_page, value):
    """All absent, or all present: nothing is confused, and there is nothing to show."""
    facts = make_facts(gallery=None)
    labels = np.full_like(facts.test.labels, value)
    test = dataclasses.replace(facts.test, labels=labels)
    facts = dataclasses.replace(facts, test=test, gallery=Gallery())
    page = read_page(render_run_report(facts, DAY))
    assert "There is no such label" in page.text and not page.all("img")
    assert "Taken for one another" not in page.text


def test_a_run_of_one_epoch_of_a_baseline(make_facts, read_page):
    facts = make_facts(
        epochs=1, train=False, weak_negatives=False, model="resnet50", weights="imagenet", loss="an"
    )
    page = read_page(render_run_report(facts, DAY))
    assert page.headings[0] == (1, "resnet50 with an on photos")
    assert "weak" not in sections(page) and "The model kept is" not in page.text
    assert "imagenet" in page.text and "The training images are not shown" in page.text


def test_a_loss_that_sees_all_labels(make_facts):
    assert ("observed", "all labels") in data_facts(make_facts(loss="bce"))
    assert ("observed", "as given in the file") in data_facts(make_facts(loss="bce", draw="given"))
    assert ("observed", "one positive an image, area draw") in data_facts(make_facts(draw="area"))


def test_what_the_best_epoch_was(usual):
    _, page = usual
    assert "also the best on the test images, with 23.0" in page.text
    found = best_epoch({"test_map": [21.0, 30.5, 22.0]})
    assert found == {"epoch": 2, "value": 30.5, "last": 22.0, "is_last": False}
    assert best_epoch({"held_out_lrap": [21.0, 30.5]})["is_last"]
    assert best_epoch({"test_map": [21.0]}) is None


def test_the_page_is_whole_or_the_one_before(tmp_path, files_of_at_most):
    (tmp_path / FILE).write_text("before")
    with files_of_at_most(1000), pytest.raises(InputError, match="recipes/report.py"):
        write_page(tmp_path, "x" * 5000)
    assert (tmp_path / FILE).read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert write_page(tmp_path, "größe").read_text(encoding="utf-8") == "größe"


def test_shares_of_nothing():
    assert as_percent(None) == as_percent(float("nan")) == "–"
    assert as_percent(0.123) == "12.3\N{NO-BREAK SPACE}%"

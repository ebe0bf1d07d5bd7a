"""The report of a comparison."""

import json
import re
import statistics

import pytest
from scipy import stats

from keras_patchpu.comparison import Cell
from keras_patchpu.errors import InputError
from keras_patchpu.reporting import GRID, write_comparison_report, write_grid
from keras_patchpu.reporting.comparison_facts import gather_comparison_facts
from keras_patchpu.reporting.comparison_report import render_comparison_report

MAPS = {
    ("patch", "bce"): [60.0, 62.0, 61.5],
    ("patch", "wn"): [50.0, 51.5, None],
    ("resnet50", "an"): [40.0],
    ("resnet50", "en+cl"): [None],
}


def squeezed(page):
    return " ".join(page.text.split())


def test_all_sections(make_comparison, read_page):
    page = read_page(render_comparison_report(make_comparison(MAPS)))
    assert [attributes["id"] for attributes in page.all("section")] == [
        *("run", "results", "differences", "labels", "weak", "cost", "runs")
    ]
    assert page.headings[0] == (1, "Comparison on photos")
    text = squeezed(page)
    assert "Published elsewhere" not in text
    assert "6 of 8" in text and text.count("not ended") == 2
    assert "python recipes/compare.py <all>" in text
    assert len(page.all("svg")) == 6 and not page.all("img")


def test_means_deviations_and_differences(make_comparison, read_page):
    html = render_comparison_report(make_comparison(MAPS))
    text = squeezed(read_page(html))
    bce, wn = [60.0, 62.0, 61.5], [50.0, 51.5]
    assert f"{statistics.mean(bce):.1f} ± {statistics.stdev(bce):.1f}" in text
    assert f"{statistics.mean(wn) - 1:.1f} ± {statistics.stdev(wn):.1f}" in text
    difference = f"{statistics.mean(bce) - statistics.mean(wn):+.1f}"
    assert stats.ttest_ind(bce, wn, equal_var=False).pvalue < 0.05
    assert f"<strong>{difference}</strong>" in html
    assert "Two seeds decide little" in text
    # label 3, the mean of each row over its seeds.
    assert re.search(
        rf"label 3 7 {statistics.mean(bce) + 0.3:.1f} {statistics.mean(wn) + 0.3:.1f}", text
    )


def test_models_are_compared_by_the_same_loss(make_comparison, read_page):
    maps = {("patch", "an"): [40.0, 41.0, 40.5], ("resnet50", "an"): [50.0, 51.5, 51.0]}
    html = render_comparison_report(make_comparison(maps))
    assert "loss patch less resnet50 an −10.3" in squeezed(read_page(html))
    assert "<strong>−10.3</strong>" in html


def test_published_numbers_of_the_same_data(make_comparison, read_page):
    text = squeezed(read_page(render_comparison_report(make_comparison(MAPS, data="VOC2012"))))
    assert "61.6 patch [1]" in text and "60.4 patch [1]" in text and "Jouanneau" in text


def test_nothing_has_ended(make_comparison, read_page):
    facts = make_comparison({("patch", "wn"): [None, None]})
    page = read_page(render_comparison_report(facts))
    assert "No run has ended yet" in page.text
    assert [attributes["id"] for attributes in page.all("section")] == ["run", "runs"]


def test_one_run(make_comparison, read_page):
    page = read_page(render_comparison_report(make_comparison({("patch", "an"): [30.0]})))
    assert "no two losses of one model" in page.text


def test_many_labels_and_losses(make_comparison, read_page):
    losses = ["bce", "an", "wn", "epr", "role", "en+cl", "en+scl", "gr", "wan", "an_ls"]
    maps = {(m, loss): [9.0, 8.0] for m in ("patch", "resnet50", "query2label") for loss in losses}
    read_page(render_comparison_report(make_comparison(maps, num_labels=312)))


def test_labels_of_strangers_are_escaped(make_comparison, read_page):
    names = ["<script>alert(1)</script>", "$x$", "\udcff"]
    text = render_comparison_report(make_comparison(MAPS, names=names, data="<b>"))
    assert "alert(1)" in read_page(text).text and "<script" not in text


def test_links_lead_to_files_beside_it(make_comparison, read_page):
    facts = make_comparison(MAPS)
    run = facts.runs[0].directory.path
    run.mkdir()
    (run / "report.html").write_text("x")
    run.with_name("patch-bce-0.log").write_text("x")
    page = read_page(render_comparison_report(facts))
    assert page.external == ["patch-bce-0/report.html", "patch-bce-0.log"]


@pytest.fixture
def comparison(tmp_path):
    """A directory with a grid of two runs of which one has ended."""
    write_grid(tmp_path, [Cell("patch", "en+cl", 0), Cell("patch", "wn", 0)], "the command")
    run = tmp_path / "patch-en_cl-0"
    run.mkdir()
    config = {
        **{"data": "photos", "num_train": 90, "num_validation": 10, "num_test": 50},
        **{"image_size": 64, "patch_size": 32, "num_levels": 2, "batch_size": 8, "seed": 0},
        **{"weights": None, "optimizer": "adam"},
        **{"learning_rate": 1e-3, "schedule": "cosine", "augment": [], "draw": "uniform"},
        "label_names": ["a", "b"],
    }
    (run / "config.json").write_text(json.dumps(config))
    (run / "history.csv").write_text(
        "epoch,loss,test_map,validation_map,validation_observed_map,images_per_second,seconds\n"
        "1,2.0,30.5,40,50,10,60\n2,1.0,33.5,45,30,10,60\n"
    )
    labels = {name: {"average_precision": 33.5, "positives": 9} for name in "ab"}
    metrics = {
        "labels": labels,
        "mean_average_precision_frequent": None,
        "frequent_means_at_least": 20,
        "peak_memory_gb": 1.0,
    }
    (run / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_from_the_files(comparison, read_page):
    page = read_page(write_comparison_report(comparison).read_text(encoding="utf-8"))
    text = squeezed(page)
    assert "1 of 2" in text and "33.5" in text and "30.5" in text and "the command" in text
    facts = gather_comparison_facts(comparison)
    assert [run.cell for run in facts.runs] == [Cell("patch", "en+cl", 0), Cell("patch", "wn", 0)]
    assert facts.ended[0].history["test_map"] == [30.5, 33.5]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (GRID, "{", "damaged"),
        (GRID, "{}", "recipes/compare.py"),
        (GRID, '{"command": "x", "runs": [1]}', "recipes/compare.py"),
        (
            GRID,
            '{"command": "x", "runs": [{"model": "../../x", "loss": "wn", "seed": 0}]}',
            "no run is called ../../x-wn-0",
        ),
        ("patch-en_cl-0/metrics.json", "{}", "metrics.json"),
        ("patch-en_cl-0/history.csv", "epoch\n1\n", "history.csv"),
    ],
)
def test_damaged_files(comparison, file, content, said):
    (comparison / file).write_text(content)
    with pytest.raises(InputError, match=said) as raised:
        write_comparison_report(comparison)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("metrics.json", {"peak_memory_gb": "much"}, "much"),
        ("metrics.json", {"mean_average_precision_frequent": "much"}, "much"),
        ("metrics.json", {"labels": {"a": {"average_precision": 1, "positives": 9}}}, "other lab"),
        ("config.json", {"augment": None}, "augment"),
        ("config.json", {"num_validation": "ten"}, "num_validation"),
        ("config.json", {"label_names": ["a", "c"]}, "other labels"),
    ],
)
def test_damaged_values(comparison, file, change, said):
    path = comparison / "patch-en_cl-0" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=said) as raised:
        write_comparison_report(comparison)
    assert "\n" not in str(raised.value)


def test_a_run_of_before(comparison):
    path = comparison / "patch-en_cl-0" / "config.json"
    config = json.loads(path.read_text())
    for name in ("augment", "weights", "schedule"):
        del config[name]
    path.write_text(json.dumps(config))
    write_comparison_report(comparison)


def test_no_precisions(comparison):
    file = comparison / "patch-en_cl-0" / "metrics.json"
    file.write_text(file.read_text().replace("average_precision", "other"))
    with pytest.raises(InputError, match="delete the directory"):
        write_comparison_report(comparison)

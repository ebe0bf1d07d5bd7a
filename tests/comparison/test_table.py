"""The numbers of the tables against NumPy, and what stands around them."""

import csv

import numpy as np
import pytest

from keras_patchpu.comparison import Cell, group_by_loss, read_result, write_csv, write_markdown
from keras_patchpu.errors import InputError


def markdown(tmp_path, rows, num_runs=None):
    path = tmp_path / "table.md"
    num_runs = num_runs or sum(len(row.results) for row in rows)
    write_markdown(path, rows, num_runs, "python recipes/compare.py x")
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    table = lines[: 2 + len(rows)]  # and those of the differences follow
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert len({len(row) for row in cells}) == 1
    return text, [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def three_rules(write_run):
    """Three seeds of one loss, of which each rule chooses another epoch."""
    test = np.random.default_rng(0).uniform(20, 30, (3, 4)).round(3)
    cells = [Cell("patch", "wn", seed) for seed in range(3)]
    results = [
        read_result(
            cell,
            write_run(cell, list(maps), [1, 3, 2, 0], [2, 1, 0, 1], num_train=4574 + cell.seed),
        )
        for cell, maps in zip(cells, test, strict=True)
    ]
    return test, group_by_loss(cells, results)


def test_means_and_deviations(three_rules, tmp_path):
    test, rows = three_rules
    _, (row,) = markdown(tmp_path, rows)
    write_csv(tmp_path / "table.csv", rows)
    (line,) = read_csv(tmp_path / "table.csv")
    for column, title, epoch in (
        ("last", "last epoch", 3),
        ("clean", "best by validation, all labels", 1),
        ("observed", "best by validation, observed labels", 0),
    ):
        mean, deviation = np.mean(test[:, epoch]), np.std(test[:, epoch], ddof=1)
        assert row[f"test mAP, {title}"] == f"{mean:.1f} ± {deviation:.1f}"
        assert float(line[f"{column}_mean"]) == pytest.approx(mean, abs=6e-4)
        assert float(line[f"{column}_deviation"]) == pytest.approx(deviation, abs=6e-4)


def test_what_it_cost(three_rules, tmp_path):
    _, rows = three_rules
    _, (row,) = markdown(tmp_path, rows)
    write_csv(tmp_path / "table.csv", rows)
    (line,) = read_csv(tmp_path / "table.csv")
    assert (row["seeds"], row["epochs"]) == ("3", "4") == (line["seeds"], line["epochs"])
    assert row["images seen"] == "18,296 to 18,304"
    assert row["images/s"] == "25"  # the median of 10, 20, 30 and 40
    assert row["memory, GB"] == "3.5"
    assert row["published elsewhere"] == "60.4 patch [1]"
    assert float(line["images_per_second"]) == 25 and float(line["peak_memory_gb"]) == 3.5
    assert line["published"].startswith("60.4 (Jouanneau")


def test_one_seed_has_no_deviation(make_rows, tmp_path):
    rows = make_rows({("patch", "an"): [21.25]})
    _, (row,) = markdown(tmp_path, rows)
    assert row["test mAP, last epoch"] == "21.2"
    write_csv(tmp_path / "table.csv", rows)
    assert read_csv(tmp_path / "table.csv")[0]["last_deviation"] == ""


def test_runs_that_are_not_done(write_run, tmp_path):
    cells = [Cell("patch", loss, seed) for seed in (0, 1) for loss in ("wn", "bce")]
    results = [read_result(cells[0], write_run(cells[0], [1.0]))]
    rows = group_by_loss(cells, results)
    text, (first, second) = markdown(tmp_path, rows, num_runs=4)
    assert "1 of 4 runs are finished" in text
    assert second["loss"] == "`bce`" and second["sees"] == "all labels"
    assert [second[name] for name in ("test mAP, last epoch", "seeds", "epochs")] == ["-", "0", "-"]
    write_csv(tmp_path / "table.csv", group_by_loss(cells, []))
    assert [line["last_mean"] for line in read_csv(tmp_path / "table.csv")] == ["", ""]
    assert "no finished run yet" in markdown(tmp_path, group_by_loss(cells, []), num_runs=4)[0]


def test_frequent_labels_have_a_column_and_decide_the_differences(make_rows, tmp_path):
    maps = {("patch", "wn"): [10.0, 11.0], ("patch", "an"): [20.0, 21.0]}
    text, (row, _) = markdown(tmp_path, make_rows(maps, num_frequent=12))
    title = "test mAP, last epoch, 12 of 20 labels (20 test images or more)"
    assert row[title] == "21.0 ± 1.4"  # twice the other, see `make_rows`
    assert "By the test mAP of the last epoch, 12 of 20 labels" in text
    assert "| `an` | **+20.0** |  |" in text or "| `an` | +20.0 |  |" in text


@pytest.mark.parametrize("num_frequent", [0, 20])
def test_no_such_column_without_need(make_rows, num_frequent, tmp_path):
    rows = make_rows({("patch", "wn"): [10.0]}, num_frequent=num_frequent)
    text, _ = markdown(tmp_path, rows)
    assert "20 labels (" not in text and "By the test mAP of the last epoch." in text


def test_a_part_of_a_data_set_says_so(make_rows, tmp_path):
    maps = {("patch", "wn"): [10.0]}
    text, _ = markdown(tmp_path, make_rows(maps, num_train=2700, num_test=1363))
    assert "**3,843 of the official 5,717** training" in text
    assert "**1,363 of the official 5,823** test" in text
    assert "seed 0: 2,700 and 1,143" in text


def test_a_whole_data_set(make_rows, tmp_path):
    text, _ = markdown(tmp_path, make_rows({("patch", "wn"): [10.0]}))
    assert "VOC2012, 5,717 training" in text and "5,823 test images" in text


def test_voc_2007_is_trained_on_trainval(make_rows, tmp_path):
    maps = {("patch", "wn"): [10.0]}
    counts = {"num_train": 1900, "num_validation": 100, "num_test": 4952}
    text, _ = markdown(tmp_path, make_rows(maps, data="VOC2007", test_split="test", **counts))
    assert "**2,000 of the official 5,011** training" in text and "4,952 test images" in text


def test_voc_2007_without_test_images_is_tested_on_val(make_rows, tmp_path):
    maps = {("patch", "wn"): [10.0]}
    counts = {"num_train": 1501, "num_validation": 1000, "num_test": 2500}
    text, _ = markdown(tmp_path, make_rows(maps, data="VOC2007", **counts))
    assert "VOC2007, 2,501 training" in text and "**2,500 of the official 2,510** test" in text


def test_published_numbers_are_of_that_data_set_only(make_rows, tmp_path):
    maps = {("patch", "wn"): [10.0], ("patch", "en"): [10.0], ("patch", "gr"): [10.0]}
    text, rows = markdown(tmp_path, make_rows(maps))
    published = [row["published elsewhere"] for row in rows]
    assert published == ["60.4 patch [1]", "47.5 resnet50 [2]", ""]
    assert "1. Jouanneau et al." in text and "2. Verelst et al., WACV 2023" in text


def test_other_data_sets_have_none(make_rows, tmp_path):
    text, (row,) = markdown(tmp_path, make_rows({("patch", "wn"): [10.0]}, data="digits"))
    assert "ublished" not in text and "published elsewhere" not in row


def test_runs_that_saw_more_images_are_told(write_run, tmp_path):
    cells = [Cell("patch", loss, 0) for loss in ("wn", "an")]
    results = [
        read_result(cell, write_run(cell, [1.0] * epochs))
        for cell, epochs in zip(cells, (1, 2), strict=True)
    ]
    text, _ = markdown(tmp_path, group_by_loss(cells, results))
    assert "**Not comparable" in text
    same = group_by_loss(cells[:1], results[:1])
    assert "**Not comparable" not in markdown(tmp_path, same)[0]


def test_seeds_may_differ_in_images_seen_and_not_in_number(three_rules, write_run, tmp_path):
    _, rows = three_rules
    assert "Not comparable" not in markdown(tmp_path, rows)[0]
    assert "**Unfinished**" not in markdown(tmp_path, rows)[0]
    cell = Cell("patch", "an", 0)
    more = group_by_loss([cell], [read_result(cell, write_run(cell, [1.0] * 4))])
    assert "**Unfinished**" in markdown(tmp_path, rows + more)[0]


def test_the_note_on_wn_stands_where_it_is_due(make_rows, tmp_path):
    rows = make_rows({("resnet50", "wn"): [10.0], ("patch", "wn"): [10.0]})
    assert "begins as `an`" in markdown(tmp_path, rows)[0]
    assert "begins as `an`" not in markdown(tmp_path, rows[1:])[0]
    assert "Every loss applies to every model" in markdown(tmp_path, rows[1:])[0]


@pytest.mark.parametrize("name", ["table.md", "table.csv"])
def test_a_table_is_whole_or_the_one_before(name, make_rows, tmp_path, files_of_at_most):
    rows = make_rows({("patch", "wn"): [10.0]})
    (tmp_path / name).write_text("before")

    def write():
        if name == "table.md":
            write_markdown(tmp_path / name, rows, 1, "x")
        else:
            write_csv(tmp_path / name, rows)

    with files_of_at_most(100), pytest.raises(InputError, match="see to the disk"):
        write()
    assert (tmp_path / name).read_text() == "before"
    write()
    assert len((tmp_path / name).read_text(encoding="utf-8")) > 100
    assert not list(tmp_path.glob(".unfinished*"))

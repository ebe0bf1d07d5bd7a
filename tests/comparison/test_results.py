"""What is read of a finished run, and the three rules of which epoch to keep."""

import numpy as np
import pytest

from keras_patchpu.comparison import Cell, group_by_loss, read_result
from keras_patchpu.comparison.results import mean_and_deviation
from keras_patchpu.errors import InputError

CELL = Cell("patch", "wn", 1)


def test_the_three_rules(write_run):
    directory = write_run(
        CELL,
        test=[10.0, 30.0, 25.0, 20.0],
        clean=[5.0, 6.0, 9.0, 9.0],  # the third is as good as the fourth, and earlier
        observed=[8.0, 7.5, 7.0, 6.0],
    )
    result = read_result(CELL, directory)
    assert (result.last, result.clean, result.observed) == (20.0, 25.0, 10.0)
    assert result.epochs == 4
    assert result.images_seen == 4 * 4574
    assert result.seconds == 240.0
    assert result.images_per_second == [10.0, 20.0, 30.0, 40.0]
    assert result.peak_memory_gb == 2.5


def test_the_best_epoch_is_sought_by_number_not_by_text(write_run):
    directory = write_run(CELL, test=[1.0, 2.0], clean=[9.5, 10.25], observed=[100.0, 99.0])
    result = read_result(CELL, directory)
    assert (result.clean, result.observed) == (2.0, 1.0)


def test_frequent_labels(write_run):
    result = read_result(CELL, write_run(CELL, [1.0], num_frequent=12, frequent=33.3))
    assert (result.frequent, result.num_frequent, result.frequent_means_at_least) == (33.3, 12, 20)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("history.csv", "epoch,loss,test_map,images_per_second,seconds\n1,1,1,1,1\n"),
        ("history.csv", ""),
        (
            "history.csv",
            "test_map,validation_map,validation_observed_map,images_per_second,seconds\n1,2,3\n",
        ),
        ("metrics.json", "{}"),
        ("metrics.json", '{"epo'),
        ("config.json", "[]"),
    ],
)
def test_a_run_that_cannot_be_read(write_run, file, content):
    directory = write_run(CELL, [1.0])
    (directory.path / file).write_text(content)
    with pytest.raises(InputError) as error:
        read_result(CELL, directory)
    assert str(directory.path) in str(error.value) and "\n" not in str(error.value)


def test_rows_keep_the_order_and_models_stay_together(write_run):
    keys = [("resnet50", "an", 0), ("patch", "wn", 0), ("resnet50", "bce", 0), ("patch", "wn", 1)]
    cells = [Cell(*key) for key in keys]
    results = [read_result(cell, write_run(cell, [1.0])) for cell in cells if cell.loss != "bce"]
    rows = group_by_loss(cells, results)
    assert [(row.model, row.loss, row.sees, len(row.results)) for row in rows] == [
        ("resnet50", "an", "one positive", 1),
        ("resnet50", "bce", "all labels", 0),
        ("patch", "wn", "one positive", 2),
    ]


def test_mean_and_deviation():
    values = [20.25, 21.5, 19.75]
    mean, deviation = mean_and_deviation(values)
    assert mean == pytest.approx(np.mean(values)) and deviation == pytest.approx(
        np.std(values, ddof=1)
    )
    assert mean_and_deviation([3.5]) == (3.5, None)
    assert mean_and_deviation([]) == (None, None)

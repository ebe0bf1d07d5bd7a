"""Run directories written by hand."""

import csv
import json

import pytest

from keras_patchpu import comparison
from keras_patchpu.training import RunDirectory

LABELS = [f"label {number}" for number in range(20)]


@pytest.fixture
def write_run(tmp_path):
    """`write_run(cell, test, clean, observed)`: a finished run; gives its directory.

    `test`, `clean` and `observed` are mAPs by epoch; of the labels the first `num_frequent` have 20
    test images and the others 19. Other options go into the configuration.
    """

    def write(cell, test, clean=None, observed=None, num_frequent=20, frequent=50.0, **config):
        folder = tmp_path / cell.name
        folder.mkdir()
        config = {
            "data": "VOC2012",
            "num_train": 4574,
            "num_validation": 1143,
            "num_test": 5823,
            "test_split": "val",
            "model": cell.model,
            "loss": cell.loss,
            "seed": cell.seed,
            "weights": None,
            "image_size": 160,
            "patch_size": 32,
            "num_levels": 3,
            "batch_size": 16,
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "augment": [],
            "draw": "uniform",
            "label_names": LABELS,
            **config,
        }
        (folder / "config.json").write_text(json.dumps(config))
        with open(folder / "history.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                "epoch loss test_map validation_map validation_observed_map "
                "images_per_second seconds".split()
            )
            for epoch, maps in enumerate(
                zip(test, clean or test, observed or test, strict=True), start=1
            ):
                writer.writerow([epoch, 1.0, *maps, 10.0 * epoch, 60.0])
        labels = {
            name: {"average_precision": 1.0, "positives": 20 - (number >= num_frequent)}
            for number, name in enumerate(LABELS)
        }
        metrics = {
            "mean_average_precision": test[-1],
            "mean_average_precision_frequent": frequent if num_frequent else None,
            "frequent_means_at_least": 20,
            "labels": labels,
            "peak_memory_gb": 1.5 + cell.seed,
        }
        (folder / "metrics.json").write_text(json.dumps(metrics))
        return RunDirectory(folder)

    return write


@pytest.fixture
def make_rows(write_run):
    """`make_rows({("patch", "wn"): [20.0, 21.0]})`: rows of runs of one epoch, a seed a value."""

    def make(maps, **options):
        cells, results = [], []
        for (model, loss), values in maps.items():
            for seed, value in enumerate(values):
                cells.append(comparison.Cell(model, loss, seed))
                directory = write_run(cells[-1], [value], frequent=2 * value, **options)
                results.append(comparison.read_result(cells[-1], directory))
        return comparison.group_by_loss(cells, results)

    return make

"""The table of `benchmarks/localization.py`: means and deviations over the seeds."""

import pytest


@pytest.fixture(scope="module")
def localization(import_benchmark):
    return import_benchmark("localization")


def run(loss, precision, hit, model="patch"):
    scores = {"hit": hit, "centre_hit": 20.0, "random_hit": 10.0, "energy": 40.0, "area": 10.0}
    return {"model": model, "loss": loss, "mean_average_precision": precision, "mean": scores}


def test_a_line_a_loss_and_model(localization):
    runs = {"a": run("wn", 80.0, 70.0), "b": run("an", 75.0, 50.0), "c": run("wn", 83.0, 74.0)}
    runs["d"] = run("an", 60.0, 40.0, "resnet50")
    assert localization.table(runs, "mean").splitlines() == [
        "| model | loss | seeds | pointing | centre | random | energy | area | mAP, all labels |",
        "|---|---|---|---|---|---|---|---|---|",
        "| patch | `an` | 1 | 50.0 | 20.0 | 10.0 | 40.0 | 10.0 | 75.0 |",
        "| patch | `wn` | 2 | 72.0 +- 2.8 | 20.0 +- 0.0 | 10.0 +- 0.0 | 40.0 +- 0.0 | "
        "10.0 +- 0.0 | 81.5 +- 2.1 |",
        "| resnet50 | `an` | 1 | 40.0 | 20.0 | 10.0 | 40.0 | 10.0 | 60.0 |",
    ]

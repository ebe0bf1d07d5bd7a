"""The tables of a report of a run."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from keras_patchpu.losses import LOSSES
from keras_patchpu.reporting.calibration import Calibration
from keras_patchpu.reporting.page import as_number, duration
from keras_patchpu.reporting.run_facts import RunFacts
from keras_patchpu.reporting.together import as_many_as_there_are
from keras_patchpu.training import Agreement, Evaluation
from keras_patchpu.training.evaluation import FEW_POSITIVES

# What the columns of the history are called.
QUALITIES = {
    "test_map": "test mAP",
    "held_out_lrap": "LRAP of held-out images",
    "validation_map": "validation mAP, all labels",
    "validation_observed_map": "validation mAP, observed labels",
}


def tiles(facts: RunFacts, measured: Evaluation | Agreement) -> list[tuple[str, str]]:
    """The figures that a run is summed up by, each with its name first."""
    first = [(f"{measured.title}, %", f"{measured.headline:.1f}")]
    if isinstance(measured, Evaluation) and measured.frequent.any() and not measured.frequent.all():
        mean = measured.average_precisions[measured.frequent].mean()
        count = int(measured.frequent.sum())
        name = f"mAP of the {count} labels with {FEW_POSITIVES} images or more, %"
        first.append((name, f"{mean:.1f}"))
    return [
        *first,
        ("test images", as_number(len(facts.test.keys))),
        ("training images", as_number(facts.config["num_train"])),
        ("epochs", as_number(len(facts.history["loss"]))),
        ("time to train", duration(sum(facts.history["seconds"]))),
        ("peak memory", f"{facts.metrics['peak_memory_gb']:.1f} GB"),
    ]


def data_facts(facts: RunFacts) -> list[tuple[str, str]]:
    """What was learnt from, and measured on."""
    config, test = facts.config, facts.test
    drawn = config.get("draw", "uniform")  # runs of before have no other
    if drawn == "given":
        observed = "as given in the file"
    elif LOSSES[config["loss"]].supervised:
        observed = "all labels"
    else:
        observed = f"one positive an image, {drawn} draw"
    rows = [
        ("data", config["data"]),
        ("training images", as_number(config["num_train"])),
        ("test images", f"{as_number(len(test.keys))} ({test.split})"),
        ("labels", as_number(len(config["label_names"]))),
        ("observed", observed),
    ]
    if config.get("num_validation"):
        rows.insert(2, ("held out to validate", as_number(config["num_validation"])))
    if test.truth_known:
        mean = float((test.labels == 1).sum() / len(test.keys))
        rows.append(("labels an image", f"{mean:.2f} in the test images"))
    else:
        rows.append(("truth", "not known: nobody has said what is absent"))
    return rows


def model_facts(facts: RunFacts) -> list[tuple[str, str]]:
    """What was trained, and how."""
    config = facts.config
    places = " + ".join(f"{rows}×{columns}" for rows, columns in facts.grids)
    rows = [
        ("loss", ", ".join([config["loss"], *_loss_options(config)])),
        ("model", config["model"]),
        ("pictures", f"{config['image_size']} pixels square, {config['resize']}"),
        ("looks at", f"{places} places"),
        ("parameters", f"{facts.num_parameters:,}"),
        ("epochs", f"{config['epochs']}, in batches of {config['batch_size']}"),
        ("optimizer", f"{config['optimizer']}, {config['learning_rate']:g} ({config['schedule']})"),
        ("augmentation", ", ".join(config.get("augment", ())) or "none"),
        ("seed", str(config["seed"])),
    ]
    if config["model"] == "patch":
        rows[3] = ("looks at", f"{places} patches of {config['patch_size']} pixels")
    else:
        rows.insert(2, ("starts from", config["weights"] or "random weights"))
    return rows


def decision_facts(measured: Evaluation) -> list[tuple[str, str]]:
    """What the scores are worth as decisions."""
    figures = {name: f"{figure:.1f}" for name, figure in measured.decisions.items()}
    facts = {
        "precision, recall, F1": "{CP}, {CR}, {CF1} %, means of labels",
        "of all together": "{OP}, {OR}, {OF1} %",
        "best label right": "{P@1} % of images",
        "best 3, best 5": "{P@3}, {P@5} % of them right",
        "labels an image": "{true_positives}, by the sum of scores {expected_positives}",
    }
    return [(name, text.format(**figures)) for name, text in facts.items()]


def _loss_options(config):
    return [f"{name} {value}" for name, value in config.get("loss_options", {}).items()]


def cost_facts(facts: RunFacts) -> list[tuple[str, str]]:
    """Memory and time."""
    seconds = facts.history["seconds"]
    return [
        ("peak memory", f"{facts.metrics['peak_memory_gb']:.2f} GB of the process"),
        ("training", f"{facts.metrics['images_per_second']:.1f} images a second"),
        ("an epoch", f"{duration(sum(seconds) / len(seconds))}, measuring included"),
        ("in all", duration(sum(seconds))),
    ]


def best_epoch(history: dict[str, list[float]]) -> dict | None:
    """The best epoch on the test images, and the last; None where there is but one."""
    for column in ("test_map", "held_out_lrap"):
        if len(history.get(column, ())) > 1:
            values = history[column]
            place = int(np.argmax(values))
            return {
                "epoch": place + 1,
                "value": values[place],
                "last": values[-1],
                "is_last": values[-1] == values[place],
            }
    return None


def label_rows(facts: RunFacts, measured: Evaluation | Agreement) -> list[dict]:
    """For each label its counts, and the median score of each kind of image, best label first."""
    test = facts.test
    found = as_many_as_there_are(test.labels, test.logits) if test.truth_known else None
    rows = []
    for column, name in enumerate(measured.label_names):
        labels, logits = test.labels[:, column], test.logits[:, column]
        row = {"name": name, "positives": int((labels == 1).sum())}
        for kind, value in (("present", 1), ("absent", 0), ("unknown", -1)):
            scores = logits[labels == value]
            row[kind] = float(expit(float(np.median(scores)))) if len(scores) else None
        row["num_absent"] = int((labels == 0).sum())
        if found is not None:
            row["precision"] = float(measured.average_precisions[column])
            hits = (found[:, column] & (labels == 1)).sum()
            row["break_even"] = float(hits / found[:, column].sum()) if row["positives"] else None
        rows.append(row)
    return sorted(rows, key=lambda row: -row.get("precision", row["positives"]))


def weak_negative_rows(epochs: Sequence[dict]) -> list[dict]:
    """For each label what its weak negatives are worth after the last epoch.

    The label first that most often is there without being observed: `hidden`, of which the share
    `hidden_found` has a weak negative all the same.

    Args:
        epochs: the rows of `weak_negatives.json`.
    """
    if not epochs:
        return []
    rows = []
    for name, last in epochs[-1]["labels"].items():
        hidden = last["unobserved"] - last["absent"]
        right = last["absent"] * (last["recall"] or 0)
        rows.append(
            {
                **last,
                "name": name,
                "hidden": hidden,
                "hidden_found": (last["weak_negatives"] - right) / hidden if hidden else None,
                "first_precision": epochs[0]["labels"][name]["precision"],
            }
        )
    return sorted(rows, key=lambda row: -row["hidden"])


def calibration_bins(calibration: Calibration) -> list[dict]:
    """The bins of a reliability diagram."""
    size = 100 / len(calibration.counts)
    return [
        {
            "name": f"{place * size:.0f} to {(place + 1) * size:.0f}",
            "count": int(count),
            "mean_score": float(score),
            "present": float(share),
        }
        for place, (count, score, share) in enumerate(
            zip(
                calibration.counts,
                calibration.mean_scores,
                calibration.shares_present,
                strict=True,
            )
        )
    ]

"""The charts of a report of a run."""

from collections.abc import Sequence

import numpy as np

from keras_patchpu.reporting.charts import (
    Chart,
    Curve,
    draw_average_precisions,
    draw_by_epoch,
    draw_curves,
    draw_score_groups,
    draw_shares,
    draw_tenths,
    shown_name,
)
from keras_patchpu.reporting.charts.drawing import ORANGE
from keras_patchpu.reporting.charts.heat_map import MOST_LABELS
from keras_patchpu.reporting.run_facts import RunFacts
from keras_patchpu.reporting.score_groups import groups_of_test, groups_of_training
from keras_patchpu.reporting.together import Confusion, occurring_together
from keras_patchpu.training import Evaluation
from keras_patchpu.training.evaluation import FEW_POSITIVES

# Of fewer a share says nothing.
FEW_IMAGES = 5


def training_curves(history: dict[str, list[float]], qualities: dict[str, str]) -> list[Chart]:
    """The loss, and what is measured, by epoch; `qualities` are titles of columns."""
    charts = [draw_curves("loss", "Loss", [Curve(None, history["loss"])])]
    curves = [
        Curve(title, history[column]) for column, title in qualities.items() if column in history
    ]
    if len(curves) == 1:
        (curve,) = curves
        title = curve.title[0].upper() + curve.title[1:]
        charts.append(draw_curves("quality", title, [Curve(None, curve.values)], "%", True))
    elif curves:
        charts.append(draw_curves("quality", "How good it is", curves, "%", from_zero=True))
    return charts


def precision_chart(evaluation: Evaluation) -> Chart:
    """Average precision of each label."""
    return draw_average_precisions(
        "precision",
        evaluation.label_names,
        evaluation.average_precisions.tolist(),
        evaluation.num_positives.tolist(),
        FEW_POSITIVES,
    )


def score_charts(facts: RunFacts) -> list[Chart]:
    """How the scores are spread, of training images, if they are known, and measured on."""
    charts = []
    if facts.train is not None:
        train = facts.train
        groups = groups_of_training(train.labels, train.observed, train.logits, train.truth_known)
        title = f"{len(train.keys):,} training images"
        charts.append(draw_score_groups("scores-train", title, groups))
    test = facts.test
    groups = groups_of_test(test.labels, test.logits, test.truth_known)
    title = f"{len(test.keys):,} test images"
    charts.append(draw_score_groups("scores-test", title, groups))
    return charts


def weak_negative_charts(epochs: Sequence[dict]) -> list[Chart]:
    """What weak negatives are worth, by epoch, and by their weight after the last."""
    curves = [
        Curve(title, as_percents(epochs, name))
        for title, name in (
            ("precision", "precision"),
            ("precision, weighted", "weighted_precision"),
            ("precision of a guess", "base_rate"),
            ("recall", "recall"),
        )
    ]
    if not epochs:
        return []
    last = epochs[-1]
    charts = [draw_curves("weak-epochs", "By epoch", curves, "%", from_zero=True)]
    if last["weak_negatives"]:
        charts.append(draw_tenths("weak-tenths", last["tenths"], last["base_rate"]))
    return charts


def as_percents(epochs: Sequence[dict], name: str) -> list[float]:
    """A share of `weak_negatives.json` by epoch; NaN for a share of nothing."""
    return [np.nan if row[name] is None else 100 * row[name] for row in epochs]


def together_chart(label_names: Sequence[str], present: np.ndarray) -> Chart | None:
    """Which labels come together, if any do: of those with the most images."""
    counts = present.sum(axis=0)
    order = np.argsort(-counts, kind="stable")[:MOST_LABELS]
    order = np.sort(order[counts[order] >= FEW_IMAGES])
    shares = occurring_together(present[:, order])
    np.fill_diagonal(shares, np.nan)
    if not np.nan_to_num(shares).any():
        return None
    names = [label_names[place] for place in order]
    alt = f"Heat map of which labels come together: {_largest(names, shares)}"
    return draw_shares("together", "Labels that come together", names, shares, alt)


def confusion_chart(label_names: Sequence[str], confused: Confusion) -> Chart | None:
    """Which label is found where another one is, if any is: of those with the most surplus."""
    surplus = np.maximum(confused.surplus, 0)
    weight = surplus.sum(axis=0) + surplus.sum(axis=1)
    order = np.sort(np.argsort(-weight, kind="stable")[:MOST_LABELS])
    order = order[confused.images[order].max(axis=1, initial=0) >= FEW_IMAGES]
    if surplus[np.ix_(order, order)].max(initial=0.0) < 1:
        return None
    shares = np.where(confused.images >= FEW_IMAGES, confused.shares, np.nan)
    shares = shares[np.ix_(order, order)]
    names = [label_names[place] for place in order]
    alt = f"Heat map of labels found where they are absent: {_largest(names, shares)}"
    return draw_shares("confusion", "Found though absent", names, shares, alt, ORANGE)


def speed_chart(history: dict[str, list[float]]) -> Chart:
    """Images a second by epoch."""
    return draw_by_epoch("speed", "Speed", history["images_per_second"], "images a second")


def _largest(names, shares):
    """The three largest shares in words."""
    order = np.argsort(-np.nan_to_num(shares, nan=-1.0), axis=None, kind="stable")[:3]
    parts = [
        f"with {shown_name(names[row])} {shown_name(names[column])} in "
        f"{100 * shares[row, column]:.0f} percent"
        for row, column in zip(*np.unravel_index(order, shares.shape), strict=True)
        if shares[row, column] > 0
    ]
    return "; ".join(parts)

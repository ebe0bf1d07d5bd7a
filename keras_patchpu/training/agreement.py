"""What can be said of a model where the truth is not known."""

import dataclasses

import numpy as np
from scipy.special import expit
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

QUANTILES = (5, 50, 95)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How the scores of N images agree with what is known of their L labels.

    mAP needs to know which labels are absent. Here a label that nobody named may be there, so that
    a model which finds it is not wrong, and none of these figures is a measure of how good a model
    is: they tell one that has learnt from one that has not.

    Attributes:
        label_names: the L names.
        labels: `(N, L)`: 1 positive, 0 known to be absent, -1 unknown.
        logits: `(N, L)`.
    """

    column = "held_out_lrap"
    title = "LRAP"

    label_names: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray

    @property
    def headline(self) -> float:
        """Label ranking average precision in percent: 100 if every positive is ranked first.

        With one positive an image it is the mean of 1 / rank. Images without a positive are left
        out, known negatives count as unknown. NaN for logits that are not numbers.
        """
        if not np.isfinite(self.logits).all():
            return float("nan")
        rows = (self.labels == 1).any(axis=1)
        if not rows.any():
            return 0.0
        positives = self.labels[rows] == 1
        return 100 * float(label_ranking_average_precision_score(positives, self.logits[rows]))

    @property
    def _scores(self):
        return 100 * expit(self.logits.astype("float64"))

    def found_in_top(self, count: int) -> float:
        """Percent of the positives that are among the `count` best scores of their image."""
        ranks = (-self.logits).argsort(axis=1).argsort(axis=1)
        positive = self.labels == 1
        return 100 * float(np.mean(ranks[positive] < count)) if positive.any() else 0.0

    def separation(self) -> float | None:
        """Percent of the pairs of a positive and a known negative, of any label, ranked right."""
        known = self.labels >= 0
        truth = self.labels[known] == 1
        if truth.all() or not truth.any():
            return None
        return 100 * float(roc_auc_score(truth, self.logits[known]))

    def as_dict(self) -> dict:
        """JSON values; scores in percent, each as its 5%, 50% and 95% quantile."""
        separation = self.separation()
        return {
            "truth_known": False,
            "label_ranking_average_precision": round(self.headline, 3),
            "positives_in_top": {
                str(count): round(self.found_in_top(count), 3) for count in self._tops()
            },
            "positives_above_known_negatives": None if separation is None else round(separation, 3),
            "num_images": len(self.labels),
            "labels": {
                name: {
                    "positives": int((column == 1).sum()),
                    "known_negatives": int((column == 0).sum()),
                    "scores_of_positives": _quantiles(scores[column == 1]),
                    "scores_of_known_negatives": _quantiles(scores[column == 0]),
                    "scores_of_unknown": _quantiles(scores[column == -1]),
                }
                for name, column, scores in zip(
                    self.label_names, self.labels.T, self._scores.T, strict=True
                )
            },
        }

    def as_table(self) -> str:
        """A line a label, then what can be said of all."""
        width = max(20, *map(len, self.label_names))
        lines = [
            "mAP cannot be known: nobody has said which labels are absent from these images.",
            "Scores in percent (5%, 50% and 95% quantile):",
            f"{'label':<{width}}  {'positives':>9}  {'their scores':>14}  {'negatives':>9}  "
            f"{'their scores':>14}  {'unknown':>14}",
        ]
        for name, column, scores in zip(
            self.label_names, self.labels.T, self._scores.T, strict=True
        ):
            positive, negative, unknown = (scores[column == value] for value in (1, 0, -1))
            lines.append(
                f"{name:<{width}}  {len(positive):9d}  {_as_text(positive)}  {len(negative):9d}  "
                f"{_as_text(negative)}  {_as_text(unknown)}"
            )
        tops = ", ".join(
            f"{self.found_in_top(count):.1f} in the top {count}" for count in self._tops()
        )
        lines.append(f"{len(self.labels)} images; of the positives, in percent: {tops}")
        lines.append(f"label ranking average precision (LRAP): {self.headline:.1f}")
        if (separation := self.separation()) is not None:
            lines.append(f"positives above known negatives: {separation:.1f} percent of the pairs")
        return "\n".join(lines)

    def _tops(self):
        return [count for count in (1, 3, 5) if count < len(self.label_names)]


def _quantiles(scores):
    if not len(scores):
        return None
    return [round(float(value), 2) for value in np.percentile(scores, QUANTILES)]


def _as_text(scores):
    if not len(scores):
        return f"{'-':>14}"
    return " ".join(f"{value:4.0f}" for value in np.percentile(scores, QUANTILES))

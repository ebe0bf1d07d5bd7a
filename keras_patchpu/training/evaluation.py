"""How good a model is on a split."""

import dataclasses

import keras
import numpy as np

from keras_patchpu.data import Examples, evaluation_batches
from keras_patchpu.metrics import average_precision, decision_metrics
from keras_patchpu.training.agreement import Agreement
from keras_patchpu.training.tensorflow_errors import told_in_a_line

# Below this many test images the average precision of a class says little.
FEW_POSITIVES = 20


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Average precision of L labels over N images.

    Attributes:
        label_names: the L names.
        average_precisions: `(L,)` in percent; 0 for a label without positives.
        num_positives: `(L,)` images with the label.
        num_images: N.
        decisions: see `decision_metrics`.
    """

    # How the history and the line of an epoch call the figure that sums it up.
    column = "test_map"
    title = "test mAP"

    label_names: tuple[str, ...]
    average_precisions: np.ndarray
    num_positives: np.ndarray
    num_images: int
    decisions: dict[str, float]

    @property
    def headline(self) -> float:
        """The figure that sums it up."""
        return self.mean_average_precision

    @property
    def mean_average_precision(self) -> float:
        """mAP in percent over all labels, those without positives counting 0."""
        return float(np.mean(self.average_precisions))

    @property
    def frequent(self) -> np.ndarray:
        """Which labels have at least `FEW_POSITIVES` positives, bool `(L,)`."""
        return self.num_positives >= FEW_POSITIVES

    def as_dict(self) -> dict:
        """JSON values: mAP over all and over the frequent labels, and each label's figures."""
        frequent = self.average_precisions[self.frequent]
        return {
            "mean_average_precision": round(self.mean_average_precision, 3),
            "mean_average_precision_frequent": round(float(np.mean(frequent)), 3)
            if len(frequent)
            else None,
            "frequent_means_at_least": FEW_POSITIVES,
            "num_images": self.num_images,
            "decisions": {name: round(figure, 3) for name, figure in self.decisions.items()},
            "labels": {
                name: {"average_precision": round(float(precision), 3), "positives": int(count)}
                for name, precision, count in zip(
                    self.label_names, self.average_precisions, self.num_positives, strict=True
                )
            },
        }

    def as_table(self) -> str:
        """A line a label, then the means."""
        width = max(len("mAP (20 positives or more)"), *map(len, self.label_names))
        lines = [f"{'label':<{width}}  {'AP %':>6}  {'positives':>9}"]
        for name, precision, count in zip(
            self.label_names, self.average_precisions, self.num_positives, strict=True
        ):
            lines.append(f"{name:<{width}}  {precision:6.1f}  {count:9d}")
        lines.append(f"{'mAP':<{width}}  {self.mean_average_precision:6.1f}  {self.num_images:9d}")
        found = self.num_positives > 0
        if found.any() and not found.all():
            # A label that no test image is known to show counts 0 in the mean above.
            mean = self.average_precisions[found].mean()
            name = "mAP (1 positive or more)"
            lines.append(f"{name:<{width}}  {mean:6.1f}  {found.sum():2d} labels")
        if self.frequent.any() and not self.frequent.all():
            mean = self.average_precisions[self.frequent].mean()
            name = f"mAP ({FEW_POSITIVES} positives or more)"
            lines.append(f"{name:<{width}}  {mean:6.1f}  {self.frequent.sum():2d} labels")
        return "\n".join(lines)


def evaluate(
    model: keras.Model,
    examples: Examples,
    batch_size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
) -> Evaluation | Agreement:
    """Scores every image of a split, none dropped, and measures each label.

    Args:
        model: with `image_size` and a dict output with `logits` `(B, L)`.
        examples: N images with their truth; -1 leaves an image out for that label.
        batch_size: images a step.
        resize: `"stretch"` or `"pad"`, as the model was trained.
        cached: what `load_images` returned, or None to read the files.

    Returns:
        `Agreement` where the truth is not known.

    Raises:
        InputError: a picture cannot be read any more, or the memory does not suffice.
    """
    logits = score(model, examples, batch_size, resize, cached)
    return measure_scores(examples.label_names, examples.labels, logits, examples.truth_known)


def measure_scores(
    label_names: tuple[str, ...], labels: np.ndarray, logits: np.ndarray, truth_known: bool
) -> Evaluation | Agreement:
    """What `evaluate` says of scores that are there already.

    Args:
        label_names: L names.
        labels: `(N, L)`: 1 present, 0 absent, -1 unknown.
        logits: `(N, L)`.
        truth_known: as of `Examples`.
    """
    if not truth_known:
        return Agreement(label_names, labels, logits)
    precisions = average_precision(labels, logits)
    return Evaluation(
        label_names=label_names,
        average_precisions=100 * keras.ops.convert_to_numpy(precisions),
        num_positives=(labels == 1).sum(axis=0),
        num_images=len(labels),
        decisions=decision_metrics(labels, logits),
    )


class Scorer:
    """The logits of every image of a split, by one model after the other.

    The pipeline is made once, for TensorFlow keeps a little of each as long as it lives.

    Args:
        examples: N images.
        size: height and width of the models' images in pixels.
        batch_size, resize, cached: as of `evaluate`.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        size: int,
        resize: str = "stretch",
        cached: np.ndarray | None = None,
    ):
        self.source = (examples, batch_size, size, resize, cached)
        self.batches = evaluation_batches(*self.source)

    def __call__(self, model: keras.Model) -> np.ndarray:
        """`(N, L)`; errors as of `evaluate`."""
        with told_in_a_line(*self.source):
            return np.concatenate(
                [
                    keras.ops.convert_to_numpy(model.predict_on_batch(images)["logits"])
                    for images, _ in self.batches.as_numpy_iterator()
                ]
            )


def score(
    model: keras.Model,
    examples: Examples,
    batch_size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
) -> np.ndarray:
    """The logits `(N, L)` of every image of a split; arguments and errors as of `evaluate`."""
    return Scorer(examples, batch_size, model.image_size, resize, cached)(model)

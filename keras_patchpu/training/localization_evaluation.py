"""How well a model's maps say where the labels are."""

import dataclasses

import numpy as np
import tqdm

from keras_patchpu.data import Examples, evaluation_batches, read_encoded
from keras_patchpu.data.decode import decode
from keras_patchpu.errors import InputError
from keras_patchpu.localization.label_maps import LabelMaps
from keras_patchpu.metrics.pointing_game import TOLERANCE, PairScores, score_pair
from keras_patchpu.training.evaluation import FEW_POSITIVES

# What the table calls the figures of a pair, in percent.
_TITLES = PairScores(
    hit="pointing", centre_hit="centre", random_hit="random", energy="energy", area="area"
)


@dataclasses.dataclass(frozen=True)
class LocalizationEvaluation:
    """The pointing game and the energy inside boxes, of P pairs of a picture and a label.

    Counted are the labels that are in a picture and have a box there that is not difficult; their
    difficult boxes count as the others then, as in TorchRay's pointing game.

    Attributes:
        data: the name of the data set and of the split.
        method: of the maps.
        tolerance: in pixels of the original pictures.
        label_names: the L names.
        columns: int `(P,)`, the label of each pair.
        scores: `(P, 5)`, the `PairScores` of each.
    """

    data: str
    method: str
    tolerance: float
    label_names: tuple[str, ...]
    columns: np.ndarray
    scores: np.ndarray

    @property
    def num_pairs(self) -> np.ndarray:
        """Pairs of each label, `(L,)`."""
        return np.bincount(self.columns, minlength=len(self.label_names))

    @property
    def per_label(self) -> np.ndarray:
        """The mean scores of each label in percent, `(L, 5)`; NaN for a label without a pair."""
        sums = np.zeros((len(self.label_names), len(PairScores._fields)))
        np.add.at(sums, self.columns, self.scores)
        pairs = self.num_pairs[:, None]
        return np.where(pairs > 0, 100 * sums / np.maximum(pairs, 1), np.nan)

    def means(self, least: int = 1) -> PairScores | None:
        """The means over the labels with at least that many pairs, in percent."""
        labels = self.num_pairs >= least
        if not labels.any():
            return None
        return PairScores(*self.per_label[labels].mean(axis=0).tolist())

    def as_dict(self) -> dict:
        """JSON values: the means over all and over the frequent labels, and each label's."""
        return {
            "data": self.data,
            "method": self.method,
            "tolerance": self.tolerance,
            "mean": _rounded(self.means()),
            "mean_frequent": _rounded(self.means(FEW_POSITIVES)),
            "frequent_means_at_least": FEW_POSITIVES,
            "num_pairs": len(self.columns),
            "labels": {
                name: {**(_rounded(PairScores(*scores)) if pairs else {}), "pairs": int(pairs)}
                for name, scores, pairs in zip(
                    self.label_names, self.per_label.tolist(), self.num_pairs, strict=True
                )
            },
        }

    def as_table(self) -> str:
        """What was measured, a line a label, then the means."""
        frequent = f"mean ({FEW_POSITIVES} pairs or more)"
        width = max(len(frequent), *map(len, self.label_names))
        lines = [
            f"{self.method} maps on {self.data}, in percent; a hit is a point "
            + (f"within {self.tolerance:g} pixels of a box" if self.tolerance else "in a box"),
            f"{'label':<{width}}  {'  '.join(f'{title:>8}' for title in _TITLES)}  {'pairs':>6}",
        ]
        for name, scores, pairs in zip(
            self.label_names, self.per_label, self.num_pairs, strict=True
        ):
            lines.append(_line(name, width, scores if pairs else None, str(pairs)))
        lines.append(_line("mean", width, self.means(), str(len(self.columns))))
        counted = self.num_pairs > 0
        often = self.num_pairs >= FEW_POSITIVES
        if often.any() and (often != counted).any():
            lines.append(_line(frequent, width, self.means(FEW_POSITIVES), f"{often.sum()} labels"))
        return "\n".join(lines)


def evaluate_localization(
    label_maps: LabelMaps,
    examples: Examples,
    batch_size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> LocalizationEvaluation:
    """Makes the maps of every picture with boxes and scores them; no map is kept.

    Args:
        label_maps: makes the maps of a model.
        examples: N images with boxes.
        batch_size: images a step.
        resize: `"stretch"` or `"pad"`, as the model was trained.
        cached: what `load_images` returned, or None to read the files.
        tolerance: how far from a box a hit may be, in pixels of the original pictures.

    Raises:
        InputError: no label of any picture has a box, or the maps are not numbers.
    """
    pairs = boxed_labels(examples)
    rows = np.array([row for row, labels in enumerate(pairs) if len(labels)])
    batches = evaluation_batches(
        examples, batch_size, label_maps.model.image_size, resize, cached, rows
    ).as_numpy_iterator()
    columns, scores = [], []
    bar = tqdm.tqdm(total=len(rows), desc="maps", unit="image", leave=False, disable=None)
    with bar:
        for images, truth in batches:
            maps = label_maps(images)
            if not np.isfinite(maps).all():
                raise InputError(
                    "The maps of the model are not numbers: its training has diverged, choose "
                    "another run"
                )
            for row, image_maps in zip(truth["index"], maps, strict=True):
                # Decoded for its size only: PIL does not open all that TensorFlow does.
                size = tuple(decode(read_encoded(examples, row)).shape[:2])
                edges = label_maps.edges(size, resize)
                boxes = np.asarray(examples.boxes[row], "float64") * (size + size)
                for label in pairs[row]:
                    own = boxes[np.asarray(examples.box_labels[row]) == label]
                    columns.append(label)
                    scores.append(score_pair(image_maps[label], edges, size, own, tolerance))
            bar.update(len(images))
    return LocalizationEvaluation(
        data=f"{examples.name} {examples.split}",
        method=label_maps.method,
        tolerance=tolerance,
        label_names=examples.label_names,
        columns=np.array(columns),
        scores=np.array(scores),
    )


def boxed_labels(examples: Examples) -> list[np.ndarray]:
    """For each of N images the labels that are there and have a box that is not difficult.

    Raises:
        InputError: there is none in any image.
    """
    pairs = []
    for row, labels in enumerate(examples.box_labels):
        labels = np.unique(np.asarray(labels)[~np.asarray(examples.box_difficult[row], bool)])
        pairs.append(labels[examples.labels[row, labels] == 1])
    if not any(map(len, pairs)):
        raise InputError(
            f"{examples.name} {examples.split} has no boxes of its labels, and where they are "
            "cannot be measured: give data with boxes, such as VOC, COCO or digits"
        )
    return pairs


def _rounded(scores):
    if scores is None:
        return None
    return {name: round(score, 3) for name, score in scores._asdict().items()}


def _line(name, width, scores, pairs):
    cells = [f"{'-':>8}"] * len(_TITLES) if scores is None else [f"{x:8.1f}" for x in scores]
    return f"{name:<{width}}  {'  '.join(cells)}  {pairs:>6}"

"""The thresholds of a run, and what they were calibrated on."""

import dataclasses
import math

import keras
import numpy as np

from keras_patchpu.data import Examples
from keras_patchpu.errors import InputError
from keras_patchpu.metrics import calibrate_thresholds
from keras_patchpu.training.evaluation import score
from keras_patchpu.training.run_directory import RunDirectory

THRESHOLDS_FILE = "thresholds.json"
# Images that a run held out of its training by `--hold-out`.
VALIDATION = "validation"


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """From which score on each of L labels is said to be there.

    Attributes:
        values: by label name the score, in 0..1; NaN for a label without a positive.
        f1: by label name the F1 that it reached, in 0..1; NaN as there.
        positives: by label name how many images had the label.
        data: the data set that they were calibrated on.
        split: of the data set: `"validation"`, or what the run is tested on.
        num_images: of the split.
    """

    values: dict[str, float]
    f1: dict[str, float]
    positives: dict[str, int]
    data: str
    split: str
    num_images: int

    @property
    def on_validation(self) -> bool:
        """Whether on images that neither trained the model nor test it."""
        return self.split == VALIDATION

    @property
    def without(self) -> list[str]:
        """The labels that have no threshold."""
        return [name for name, value in self.values.items() if math.isnan(value)]

    @property
    def mean_f1(self) -> float:
        """Over the labels that have a threshold; NaN where none has."""
        return float(np.nanmean(list(self.f1.values()))) if any(self.positives.values()) else np.nan

    def origin(self) -> str:
        """What they were calibrated on, in words."""
        text = f"the {self.num_images:,} {self.split} images of {self.data}"
        if self.on_validation:
            return text
        return f"{text}, which the run is tested on: expect a lower F1 on other images"

    def write(self, directory: RunDirectory) -> None:
        """Writes `thresholds.json` into a run.

        Raises:
            InputError: it cannot be written.
        """
        labels = {
            name: {
                "threshold": None if math.isnan(value) else value,
                "f1": None if math.isnan(value) else round(self.f1[name], 6),
                "positives": self.positives[name],
            }
            for name, value in self.values.items()
        }
        content = {"data": self.data, "split": self.split, "num_images": self.num_images}
        directory.write_json(THRESHOLDS_FILE, {**content, "labels": labels})

    @classmethod
    def read(cls, directory: RunDirectory) -> "Thresholds | None":
        """Those of a run, or None if it has none.

        Raises:
            InputError: the file is damaged.
        """
        path = directory.path / THRESHOLDS_FILE
        if not path.exists():
            return None
        content = directory.read_json(THRESHOLDS_FILE)
        try:
            labels = content["labels"].items()
            return cls(
                {name: _number(label["threshold"]) for name, label in labels},
                {name: _number(label["f1"]) for name, label in labels},
                {name: int(label["positives"]) for name, label in labels},
                str(content["data"]),
                str(content["split"]),
                int(content["num_images"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} is damaged ({error!r}): write it anew by recipes/evaluate.py --calibrate"
            ) from None


def calibrate(
    model: keras.Model,
    examples: Examples,
    batch_size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
) -> Thresholds:
    """Finds the threshold of each label by `metrics.calibrate_thresholds`.

    Args: as of `evaluate`; the name of the split is kept.

    Raises:
        InputError: nobody has said which labels are absent from these images.
    """
    if not examples.truth_known:
        raise InputError(
            f"{examples.name} {examples.split}: nobody has said which labels are absent from these "
            "images, so that thresholds cannot be calibrated on them: give --test-labels"
        )
    logits = score(model, examples, batch_size, resize, cached)
    # In float32, as they are served: there high scores are alike that as logits are not.
    scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits.astype("float32")))
    thresholds, f1 = calibrate_thresholds(examples.labels, scores)
    names, positives = examples.label_names, (examples.labels == 1).sum(axis=0)
    return Thresholds(
        dict(zip(names, thresholds.tolist(), strict=True)),
        dict(zip(names, f1.tolist(), strict=True)),
        dict(zip(names, positives.tolist(), strict=True)),
        examples.name,
        examples.split,
        len(examples),
    )


def _number(value):
    return math.nan if value is None else float(value)

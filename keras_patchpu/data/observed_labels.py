"""The observed labels of a training split: drawn in a way of the field, or read from a file."""

import csv
import os

import numpy as np

from keras_patchpu.data.csv_rows import read_csv_rows
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.single_positive import draw_single_positive
from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import replaced_whole

DRAWS = ("uniform", "mlspl", "frequency", "area")
# That of the published labels.
MLSPL_SEED = 1200


def observe(examples: Examples, draw: str, seed: int) -> np.ndarray:
    """The observed positives of N images.

    * `"uniform"`: each positive of an image is as likely; `"mlspl"`: the published draw,
      whatever the seed. See `draw_single_positive`.
    * `"frequency"`: in proportion to the number of images with that label, as somebody does who
      names the common things.
    * `"area"`: in proportion to the area of the label's boxes in the image, as somebody does who
      names the large things. Where boxes of one label overlap, the area counts twice.
    * the path of a CSV file: what `write_observed` wrote.

    Args:
        examples: every image has a positive label (see `drop_unlabelled`).
        draw: one of `DRAWS`, or a path that ends with `.csv`.
        seed: of the draw.

    Returns:
        float32 `(N, L)`: 1 for an observed positive, else 0.

    Raises:
        InputError: the draw is unknown or needs boxes that are not there, or see `read_observed`.
    """
    if draw.endswith(".csv"):
        return read_observed(draw, examples)
    if draw not in DRAWS:
        raise InputError(f"no draw {draw!r}: choose one of {', '.join(DRAWS)}, or give a .csv file")
    weights = None
    if draw == "frequency":
        present = examples.labels == 1
        weights = present * present.sum(axis=0)
    elif draw == "area":
        weights = box_areas(examples)
        if not weights.sum(axis=1).all():
            row = int(np.flatnonzero(weights.sum(axis=1) == 0)[0])
            raise InputError(
                f"{examples.name}: {examples.keys[row]} has no box of a positive label to draw by "
                "area: choose another draw"
            )
    if draw == "mlspl":
        return draw_single_positive(examples.labels, MLSPL_SEED, examples.keys, "mlspl")
    return draw_single_positive(examples.labels, seed, examples.keys, weights=weights)


def known_labels(examples: Examples) -> np.ndarray:
    """All that is known of N images, for those whose labels were given rather than drawn.

    Returns:
        float32 `(N, L)`: 1 for a positive, -1 for a known negative, 0 for an unknown label.
    """
    return np.choose(examples.labels.astype(int) + 1, (0.0, -1.0, 1.0)).astype("float32")


def box_areas(examples: Examples) -> np.ndarray:
    """The summed area of the boxes of each positive label, `(N, L)`, in parts of the picture."""
    areas = np.zeros(examples.labels.shape)
    for row, (boxes, columns) in enumerate(zip(examples.boxes, examples.box_labels, strict=True)):
        sides = boxes[:, 2:] - boxes[:, :2]
        np.add.at(areas[row], columns, sides[:, 0] * sides[:, 1])
    return np.where(examples.labels == 1, areas, 0.0)


def write_observed(file: str | os.PathLike, examples: Examples, observed: np.ndarray) -> None:
    """Writes observed positives as CSV, `file,label`, a row each, for others to train on.

    Raises:
        InputError: it cannot be written; nothing is left then.
    """
    with replaced_whole(file, "see to the disk, or give another place") as unfinished:
        with open(unfinished, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(("file", "label"))
            for row, column in zip(*np.nonzero(observed == 1), strict=True):
                writer.writerow((examples.keys[row], examples.label_names[column]))


def read_observed(file: str | os.PathLike, examples: Examples) -> np.ndarray:
    """Reads what `write_observed` wrote: observed positives, one or more an image.

    Args:
        file: CSV with the columns `file`, which is a key of the examples, and `label`, a name.
        examples: N images that the file has to cover.

    Returns:
        float32 `(N, L)`.

    Raises:
        InputError: a row is not of these images or labels, contradicts the truth, or an image has
            no row.
    """
    rows = {key: row for row, key in enumerate(examples.keys)}
    columns = {name: column for column, name in enumerate(examples.label_names)}
    observed = np.zeros(examples.labels.shape, "float32")
    lines = read_csv_rows(file)
    line, header = next(lines, (1, []))
    if header != ["file", "label"]:
        raise InputError(f"{file}, line {line}: expected the header file,label")
    for line, fields in lines:
        if len(fields) != 2:
            raise InputError(f"{file}, line {line}: expected a file and a label")
        key, name = fields
        if key not in rows or name not in columns:
            what = f"image {key!r}" if key not in rows else f"label {name!r}"
            raise InputError(
                f"{file}, line {line}: {examples.name} {examples.split} has no {what}: give the "
                "draw of these images"
            )
        row, column = rows[key], columns[name]
        if examples.labels[row, column] == 0:
            raise InputError(
                f"{file}, line {line}: {key} shows no {name}: give the draw of these labels"
            )
        observed[row, column] = 1
    without = np.flatnonzero(~observed.any(axis=1))
    if len(without):
        raise InputError(
            f"{file}: no label for {examples.keys[without[0]]} and {len(without) - 1} more: give "
            "a draw of all images"
        )
    return observed

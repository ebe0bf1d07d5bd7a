"""The embedded data set: scenes of handwritten digits that need no download.

Each scene shows one to four digits of different classes, real 8x8 scans that ship inside
scikit-learn (`sklearn.datasets.load_digits`), on a textured background. Number, place, size, ink
and background are all drawn without looking at the class of a digit, so that only the shape of the
strokes tells the label.
"""

import functools
import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_patchpu.data.examples import Examples
from keras_patchpu.errors import InputError

DIGITS_LABELS = tuple("0123456789")
DEFAULT_NUM_EXAMPLES = {"train": 8000, "test": 1000}
# The split's number is part of every scene's seed, so no texture is drawn for both splits.
SPLIT_IDS = {"train": 0, "test": 1}

NUM_DIGITS_PROBABILITIES = (0.35, 0.35, 0.2, 0.1)  # of 1, 2, 3, 4 digits: 2.05 on average
SIZE_RANGE = (28 / 96, 44 / 96)  # side of a digit's square cell, as a fraction of the scene's
MAX_OVERLAP = 0.05  # of the smaller of two cells
MIN_CONTRAST = 60  # of 255, between the luminance of ink and of every background pixel around it
MIN_IMAGE_SIZE = 48  # below it the smallest digits have fewer pixels than their scans
LUMINANCE = np.array((0.299, 0.587, 0.114), "float32")  # ITU-R BT.601


def read_digits(
    split: str, num_examples: int | None = None, seed: int = 0, image_size: int = 96
) -> Examples:
    """Draws the scenes of one split.

    Scene `i` depends on `seed`, `split` and `i` only (and is drawn at `image_size`), never on
    `num_examples`. The scans of the two splits are disjoint for every seed: 70% of each class are
    for training, 30% for testing.

    Args:
        split: `"train"` or `"test"`.
        num_examples: number of scenes, at least 1; by default 8000 for train and 1000 for test.
        seed: a non-negative integer.
        image_size: side of the square scenes in pixels, at least 48.

    Returns:
        `Examples` with PNG pictures as bytes and 10 labels, all of them known. A box is the whole
        square cell of its scan, since a tight one would tell a 1 from a 0 by its aspect.

    Raises:
        InputError: for an unknown split or a number out of its range.
    """
    if split not in SPLIT_IDS:
        raise InputError(f"Unknown split {split!r} of the digits data: use 'train' or 'test'.")
    if num_examples is None:
        num_examples = DEFAULT_NUM_EXAMPLES[split]
    if num_examples < 1:
        raise InputError(f"The digits data cannot have {num_examples} scenes: ask for 1 or more.")
    if seed < 0:
        raise InputError(f"The seed of the digits data is {seed}: use 0 or more.")
    if image_size < MIN_IMAGE_SIZE:
        raise InputError(
            f"Digits scenes of {image_size} pixels are too small to be read: "
            f"use an image size of {MIN_IMAGE_SIZE} or more."
        )

    scans = _load_scans(split)
    labels = np.zeros((num_examples, len(DIGITS_LABELS)), "float32")
    images, boxes, box_labels = [], [], []
    for i in range(num_examples):
        rng = np.random.default_rng((seed, SPLIT_IDS[split], i))
        picture, scene_boxes, digits = _draw_scene(rng, scans, image_size)
        images.append(_encode_png(picture))
        boxes.append(scene_boxes)
        box_labels.append(digits)
        labels[i, digits] = 1
    return Examples(
        name="digits",
        split=split,
        label_names=DIGITS_LABELS,
        keys=tuple(f"{split}_{i:06d}.png" for i in range(num_examples)),
        images=images,
        labels=labels,
        boxes=boxes,
        box_labels=box_labels,
        box_difficult=[np.zeros(len(digits), bool) for digits in box_labels],
    )


@functools.cache
def _load_scans(split: str) -> tuple[np.ndarray, ...]:
    """For each class the uint8 `(num_scans, 10, 10)` scans of a split, 0 for paper, 255 for ink."""
    data = load_digits()
    # A blank margin around the 8x8 scan: strokes that touch its edge fade out instead of ending.
    scans = np.pad(data.images, ((0, 0), (1, 1), (1, 1)))
    scans = np.round(scans / scans.max(axis=(1, 2), keepdims=True) * 255).astype("uint8")
    train, test, train_digits, test_digits = train_test_split(
        scans, data.target, test_size=0.3, stratify=data.target, random_state=0
    )
    scans, digits = (train, train_digits) if split == "train" else (test, test_digits)
    return tuple(scans[digits == digit] for digit in range(len(DIGITS_LABELS)))


def _draw_scene(
    rng: np.random.Generator, scans: tuple[np.ndarray, ...], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a uint8 `(size, size, 3)` scene, its `(n, 4)` boxes and its `(n,)` digits."""
    num_digits = 1 + rng.choice(len(NUM_DIGITS_PROBABILITIES), p=NUM_DIGITS_PROBABILITIES)
    cells = np.round(_draw_cells(rng, num_digits) * size).astype(int)
    background = _draw_background(rng, size)
    digits = rng.choice(len(DIGITS_LABELS), num_digits, replace=False)
    scene = background.copy()
    for digit, (top, left, side) in zip(digits, cells, strict=True):
        cell = slice(top, top + side), slice(left, left + side)
        ink = _draw_ink(rng, background[cell])
        opacity = _upscale(scans[digit][rng.integers(len(scans[digit]))], side)
        scene[cell] += opacity * (ink - scene[cell])
    ends = cells[:, :2] + cells[:, 2:]
    boxes = np.concatenate([cells[:, :2], ends], axis=1).astype("float32") / size
    return np.round(scene).astype("uint8"), boxes, digits


def _draw_cells(rng: np.random.Generator, num_digits: int) -> np.ndarray:
    """Returns `(num_digits, 3)` cells, `top, left, side` as fractions, that hardly overlap."""
    while True:
        # All cells are drawn anew until they fit: none is special for having been placed first.
        layouts = rng.random((64, num_digits, 3))
        side = SIZE_RANGE[0] + (SIZE_RANGE[1] - SIZE_RANGE[0]) * layouts[..., 2]
        start = layouts[..., :2] * (1 - side[..., None])
        end = start + side[..., None]
        first, second = np.triu_indices(num_digits, k=1)
        common = np.minimum(end[:, first], end[:, second])
        common = np.maximum(common - np.maximum(start[:, first], start[:, second]), 0).prod(axis=-1)
        smaller = np.minimum(side[:, first], side[:, second]) ** 2
        fits = np.flatnonzero((common <= MAX_OVERLAP * smaller).all(axis=1))
        if len(fits):
            return np.concatenate([start, side[..., None]], axis=-1)[fits[0]]


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Returns a float32 `(size, size, 3)` texture: clouds of a few colours under a finer grain."""
    colour = rng.uniform(20, 110, 3)
    clouds = colour + rng.uniform(-35, 35, (*rng.integers(2, 6, 2), 3))
    grain = 128 + rng.uniform(5, 20) * rng.uniform(-1, 1, (*rng.integers(6, 33, 2), 3))
    layers = [
        Image.fromarray(np.clip(layer, 0, 255).astype("uint8")).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for layer in (clouds, grain)
    ]
    return np.clip(np.asarray(layers[0], "float32") + np.asarray(layers[1]) - 128, 0, 255)


def _draw_ink(rng: np.random.Generator, cell: np.ndarray) -> np.ndarray:
    """Returns a random colour `(3,)`, lighter than all of the cell's background."""
    colours = rng.integers(0, 256, (256, 3)).astype("float32")
    contrast = colours @ LUMINANCE - (cell @ LUMINANCE).max()
    legible = np.flatnonzero(contrast >= MIN_CONTRAST)
    return colours[legible[0] if len(legible) else contrast.argmax()]


def _upscale(scan: np.ndarray, side: int) -> np.ndarray:
    """Returns the opacity `(side, side, 1)` of a scan's ink, 0..1, smoothly enlarged."""
    enlarged = Image.fromarray(scan).resize((side, side), Image.Resampling.BICUBIC)
    # Steeper edges: half-inked pixels of the scan make whole strokes, faint smears vanish.
    opacity = np.clip((np.asarray(enlarged, "float32") / 255 - 0.15) / 0.5, 0, 1)
    return opacity[..., None]


def _encode_png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png", compress_level=1, compress_type=2)
    return file.getvalue()

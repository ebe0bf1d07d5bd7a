"""Each operation against Pillow's, which cuts off where ours rounds."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from keras_patchpu.data import photometric

SIZE = 24


def make_pictures():
    rng = np.random.default_rng(0)
    ramps = np.mgrid[:SIZE, :SIZE].transpose(1, 2, 0) * 6 + 40
    scene = np.concatenate([ramps, np.full((SIZE, SIZE, 1), 90)], axis=2)
    scene[4:12, 6:20] = (200, 30, 120)
    return {
        "noise": rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8),
        "scene": scene.astype(np.uint8),
        "one colour": np.full((SIZE, SIZE, 3), (0, 100, 255), np.uint8),
        "two values": 50 * rng.integers(1, 3, (SIZE, SIZE, 3)).astype(np.uint8),
        "nearly one": np.where(np.arange(SIZE**2 * 3) < 9, 3, 77).reshape(SIZE, SIZE, 3),
    }


PICTURES = {name: np.asarray(picture, np.uint8) for name, picture in make_pictures().items()}


def enhance(kind, factor):
    return lambda picture: kind(picture).enhance(factor)


def ours(name, **arguments):
    return functools.partial(getattr(photometric, name), **arguments)


EXACT = {
    "equalize": (ours("equalize"), ImageOps.equalize),
    "posterize 7": (ours("posterize", bits=7), lambda picture: ImageOps.posterize(picture, 7)),
    "posterize 2": (ours("posterize", bits=2), lambda picture: ImageOps.posterize(picture, 2)),
    "solarize 179": (ours("solarize", threshold=179), lambda p: ImageOps.solarize(p, 179)),
    "solarize 77": (ours("solarize", threshold=77), lambda p: ImageOps.solarize(p, 77)),
}
ROUNDED = {"autocontrast": (ours("autocontrast"), ImageOps.autocontrast)}
for factor in (0.0, 0.73, 1.0, 1.27):
    ROUNDED |= {
        f"brightness {factor}": (
            ours("adjust_colour", brightness=factor),
            enhance(ImageEnhance.Brightness, factor),
        ),
        f"contrast {factor}": (
            ours("adjust_colour", contrast=factor),
            enhance(ImageEnhance.Contrast, factor),
        ),
        f"saturation {factor}": (
            ours("adjust_colour", saturation=factor),
            enhance(ImageEnhance.Color, factor),
        ),
        f"sharpness {factor}": (
            ours("adjust_sharpness", factor=factor),
            enhance(ImageEnhance.Sharpness, factor),
        ),
    }


def by_pillow(operation, picture):
    return np.asarray(operation(Image.fromarray(picture))).astype(int)


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("operation", [*EXACT, *ROUNDED])
def test_operations_are_those_of_pillow(operation, picture):
    own, other = (EXACT | ROUNDED)[operation]
    result = own(tf.constant(picture))
    assert result.dtype == tf.uint8
    difference = np.abs(result.numpy() - by_pillow(other, picture))
    assert difference.max() <= (0 if operation in EXACT else 1)


def test_adjust_colour_is_its_three_parts_one_after_the_other():
    picture = PICTURES["noise"]
    grey = np.array([0.299, 0.587, 0.114])
    expected = 1.2 * picture.astype(np.float64)
    expected = 0.7 * expected + 0.3 * np.mean(expected @ grey)
    expected = 1.3 * expected - 0.3 * (expected @ grey)[..., None]
    adjusted = photometric.adjust_colour(tf.constant(picture), 1.2, 0.7, 1.3)
    assert expected.max() > 255
    np.testing.assert_allclose(adjusted, np.clip(expected, 0, 255), atol=0.501)


def test_rand_augment_draws_each_of_its_operations(monkeypatch):
    monkeypatch.setattr(photometric, "NUM_OPERATIONS", 1)
    picture = PICTURES["noise"]
    names = ["autocontrast", "equalize", "posterize 7", "solarize 179"]
    for factor in (0.73, 1.27):
        names += [f"{name} {factor}" for name in ("brightness", "contrast", "saturation")]
        names += [f"sharpness {factor}"]
    expected = np.array([by_pillow((EXACT | ROUNDED)[name][1], picture) for name in names])
    expected = np.concatenate([picture[None], expected])
    rand_augment = tf.function(photometric.rand_augment)
    counts = np.zeros(len(expected))
    for number in range(270):
        result = rand_augment(tf.constant(picture), tf.constant([5, number])).numpy()
        differences = np.abs(result - expected)
        drawn = np.argmin(differences.mean(axis=(1, 2, 3)))
        assert differences[drawn].max() <= 1
        counts[drawn] += 1
    # Half as often with each sign; 15 and 30 are expected.
    assert counts[:5].min() > 12 and counts[:5].max() < 55
    assert counts[5:].min() > 4 and counts[5:].max() < 33


def test_rand_augment_applies_two_operations():
    picture = tf.constant(PICTURES["noise"])
    changed = [photometric.rand_augment(picture, (1, number)).numpy() for number in range(40)]
    assert len({result.tobytes() for result in changed}) > 14  # more than one operation can give

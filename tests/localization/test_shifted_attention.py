"""Attention to shifted images, against sums by hand and with planted objects."""

import itertools
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.localization.label_maps import LabelMaps
from keras_patchpu.localization.shifted_attention import ShiftedAttention, shift_images
from keras_patchpu.metrics.pointing_game import point_of_maximum, score_pair

SIZE = 64


def light_seeker(boxes):
    """A model of one label whose attention is each patch's share of the light."""

    def predict(images):
        light = np.array(
            [images[:, t:b, x:r].astype("float64").sum(axis=(1, 2, 3)) for t, x, b, r in boxes]
        )
        attention = light / np.maximum(light.sum(axis=0), 1e-9)
        return {"attention": attention.T[:, None, :].astype("float32")}

    return types.SimpleNamespace(
        attention_boxes=np.array(boxes), image_size=SIZE, predict_on_batch=predict
    )


QUARTERS = [(0, 0, 32, 32), (0, 32, 32, 64), (32, 0, 64, 32), (32, 32, 64, 64)]
WITH_WHOLE = [*QUARTERS, (0, 0, 64, 64)]


def test_a_shift_is_that_of_scipy():
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype="uint8")
    for down, right in itertools.product((-4, 0, 3, 20), repeat=2):
        expected = ndimage.shift(images, (0, down, right, 0), order=0, mode="nearest")
        np.testing.assert_array_equal(shift_images(images, down, right), expected)


@pytest.mark.parametrize("boxes", [QUARTERS, WITH_WHOLE])
def test_each_cell_by_hand(boxes):
    """Moves the picture by NumPy's pad and looks for each cell where it has gone."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2, SIZE, SIZE, 3), dtype="uint8")
    model = light_seeker(boxes)
    sums, counts = np.zeros((2, 1, 8, 8)), np.zeros((8, 8))
    padded = np.pad(images, ((0, 0), (24, 24), (24, 24), (0, 0)), mode="edge")
    for down, right in itertools.product(range(-24, 25, 8), repeat=2):
        moved = padded[:, 24 - down : 88 - down, 24 - right : 88 - right]
        attention = model.predict_on_batch(moved)["attention"]
        for row, column in np.ndindex(8, 8):
            y, x = 8 * row + 4 + down, 8 * column + 4 + right
            if 0 <= y < SIZE and 0 <= x < SIZE:
                counts[row, column] += 1
                for patch, (top, left, bottom, end) in enumerate(boxes):
                    if top <= y < bottom and left <= x < end:
                        sums[:, :, row, column] += attention[:, :, patch]
    maps = ShiftedAttention(model)(images)
    assert maps.shape == (2, 1, 8, 8)
    np.testing.assert_allclose(maps, sums / counts, rtol=1e-5)


@settings(max_examples=25)
@given(
    top=st.integers(0, 48),
    left=st.integers(0, 48),
    height=st.integers(12, 28),
    width=st.integers(12, 28),
    boxes=st.sampled_from([QUARTERS, WITH_WHOLE]),
)
def test_the_maximum_is_on_a_planted_object(top, left, height, width, boxes):
    bottom, right = min(top + height, SIZE), min(left + width, SIZE)
    image = np.zeros((1, SIZE, SIZE, 3), "uint8")
    # Dark at the edges of the image: what comes in by a shift is not the object's.
    image[0, max(top, 1) : min(bottom, 63), max(left, 1) : min(right, 63)] = 255
    shifted = ShiftedAttention(light_seeker(boxes))
    y, x = point_of_maximum(shifted(image)[0, 0], shifted.edges, (SIZE, SIZE))
    assert top <= y <= bottom and left <= x <= right


def test_it_is_a_method_of_label_maps():
    model = PatchClassifier(3, image_size=80, patch_size=32, num_levels=2, embedding_dim=8)
    images = np.random.default_rng(0).integers(0, 256, (2, 80, 80, 3), dtype="uint8")
    label_maps = LabelMaps(model, "shifted")
    maps = label_maps(images)
    assert label_maps.method == "shifted" and maps.shape == (2, 3, 10, 10)
    rows, columns = edges = label_maps.edges((160, 80), "stretch")
    np.testing.assert_allclose(rows, np.arange(0, 161, 16))
    np.testing.assert_allclose(columns, np.arange(0, 81, 8))
    scores = score_pair(maps[0, 0], edges, (160, 80), np.array([(0, 0, 160, 80)]), 0.0)
    assert scores.hit == 1 and scores.energy == pytest.approx(1)


def test_places_without_quarters():
    model = PatchClassifier(3, image_size=6, patch_size=3, num_levels=1, embedding_dim=8)
    with pytest.raises(InputError, match="3 pixels have no quarters"):
        LabelMaps(model, "shifted")

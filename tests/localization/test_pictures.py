"""What is planted on a patch is found at its place in the original picture."""

import io

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from keras_patchpu.data import decode_and_resize, resize_boxes
from keras_patchpu.layers import PatchPyramid
from keras_patchpu.localization import boxes_from_map, dense_maps, maps_in_picture, picture_part

RESIZES = ["stretch", "pad"]
SIZE = 64
BOXES = PatchPyramid(patch_size=8, num_levels=3).boxes(SIZE, SIZE)


def planted(patch):
    """The dense map of all attention on one patch."""
    return dense_maps(np.eye(len(BOXES))[patch], BOXES, SIZE)


def in_the_picture(box, height, width, resize):
    """Where a box of the square lies in the picture, in pixels: `resize_boxes` turned round."""
    whole = SIZE * resize_boxes([[0, 0, 1, 1]], height, width, SIZE, resize)[0]
    offset, scale = np.tile(whole[:2], 2), np.tile(whole[2:] - whole[:2], 2)
    corners = (box - offset) / scale
    return np.clip(corners, 0, 1) * np.tile([height, width], 2)


def given_a_planted_patch(sizes):
    """For tests that take the `height` and `width` of a picture, a `patch` and a `resize`."""
    patches = st.integers(0, len(BOXES) - 1)
    return hypothesis.given(
        height=sizes, width=sizes, patch=patches, resize=st.sampled_from(RESIZES)
    )


@hypothesis.settings(max_examples=300)
@given_a_planted_patch(st.integers(1, 400))
def test_the_box_of_a_planted_patch(height, width, patch, resize):
    attention_map = maps_in_picture(planted(patch), height, width, resize)
    assert attention_map.shape == (height, width)
    expected = in_the_picture(BOXES[patch], height, width, resize)
    found = boxes_from_map(attention_map, 0.5)
    if not len(found):
        # No middle of a pixel is in it: it lies on the black, or is smaller than a pixel.
        assert (expected[2:] - expected[:2]).min() <= 1
        return
    assert len(found) == 1
    assert np.abs(found[0] - expected).max() <= 0.5 + 1e-4
    # And back again: `resize_boxes` puts it onto the patch.
    back = SIZE * resize_boxes(found / np.tile([height, width], 2), height, width, SIZE, resize)[0]
    inside = SIZE * resize_boxes([[0, 0, 1, 1]], height, width, SIZE, resize)[0]
    patch_box = np.clip(BOXES[patch], np.tile(inside[:2], 2), np.tile(inside[2:], 2))
    pixel = (inside[2:] - inside[:2]) / (height, width)  # of the picture, in the square
    assert np.all(np.abs(back - patch_box) <= np.tile(pixel, 2) / 2 + 1e-3)


@hypothesis.settings(max_examples=60)
@given_a_planted_patch(st.integers(30, 200))
def test_what_is_painted_there_is_what_the_patch_sees(height, width, patch, resize):
    attention_map = maps_in_picture(planted(patch), height, width, resize)
    hypothesis.assume(attention_map.any())
    file = io.BytesIO()
    Image.fromarray((255 * attention_map).astype("uint8")).save(file, "png")
    seen = decode_and_resize(file.getvalue(), SIZE, resize).numpy()[..., 0]
    (box,) = boxes_from_map(seen, 0.5)
    whole = SIZE * resize_boxes([[0, 0, 1, 1]], height, width, SIZE, resize)[0]
    patch_box = np.clip(BOXES[patch], np.tile(whole[:2], 2), np.tile(whole[2:], 2))
    assert np.abs(box - patch_box).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "where"),
    [
        (10, 20, np.s_[16:48, :]),
        (20, 10, np.s_[:, 16:48]),
        (7, 7, np.s_[:, :]),
        (1, 1000, np.s_[31:32]),
    ],
)
def test_the_part_that_holds_the_picture(height, width, where):
    square = np.arange(SIZE * SIZE).reshape(1, SIZE, SIZE)
    np.testing.assert_array_equal(picture_part(square, height, width, "pad")[0], square[0][where])
    np.testing.assert_array_equal(picture_part(square, height, width), square)


@hypothesis.given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(RESIZES))
def test_the_part_is_where_decoding_puts_the_picture(height, width, resize):
    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "png")
    seen = decode_and_resize(file.getvalue(), SIZE, resize).numpy()[..., 0] > 0
    assert picture_part(seen, height, width, resize).all()
    assert picture_part(seen, height, width, resize).size == seen.sum()


@pytest.mark.parametrize("resize", RESIZES)
def test_at_its_own_size_nothing_changes(resize):
    square = np.random.default_rng(0).random((2, 3, SIZE, SIZE))
    np.testing.assert_array_equal(maps_in_picture(square, SIZE, SIZE, resize), square)


@hypothesis.given(st.integers(1, 150), st.integers(1, 150), st.sampled_from(RESIZES))
def test_cells_are_as_good_as_pixels(height, width, resize):
    cells = np.random.default_rng(0).random((2, 8, 8))
    pixels = np.kron(cells, np.ones((8, 8)))
    np.testing.assert_array_equal(
        maps_in_picture(cells, height, width, resize, image_size=SIZE),
        maps_in_picture(pixels, height, width, resize),
    )


def test_an_unknown_resize():
    for function in (maps_in_picture, picture_part):
        with pytest.raises(ValueError, match="resize='crop'"):
            function(np.zeros((SIZE, SIZE)), 10, 20, "crop")

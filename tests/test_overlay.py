"""The overlay: red as strong as the attention, where it is, over a caption."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image

from keras_patchpu.overlay import draw_overlay


def test_each_cell_is_as_red_as_its_attention():
    picture = Image.new("RGB", (90, 60), (100, 200, 50))
    attention_map = np.array([[0.0, 1.0, 0.25], [0.5, 0.0, 0.0]], "float32")
    overlay = np.asarray(draw_overlay(picture, attention_map, "cat", 0.5)).astype(float)
    for row in range(2):
        for column in range(3):
            cell = overlay[30 * row : 30 * row + 30, 30 * column : 30 * column + 30]
            opacity = 0.6 * attention_map[row, column]
            expected = (1 - opacity) * np.array([100, 200, 50]) + opacity * np.array([255, 0, 0])
            np.testing.assert_allclose(cell, np.broadcast_to(expected, cell.shape), atol=1.5)


def test_the_picture_itself_is_not_drawn_on():
    picture = Image.new("RGB", (20, 20))
    draw_overlay(picture, np.ones((2, 2)), "cat", 0.5)
    assert picture.getextrema() == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("size", [(1, 1), (500, 3), (3, 500), (2000, 1500)], ids=str)
def test_the_caption_is_black_on_white_and_whole(size):
    overlay = draw_overlay(Image.new("RGB", size, "red"), np.zeros((2, 2)), "Hündin", 0.1234)
    assert overlay.mode == "RGB" and overlay.width >= size[0] and overlay.height > size[1]
    bar = np.asarray(overlay.crop((0, size[1], *overlay.size)).convert("L"))
    assert bar.min() < 50
    # Nothing of it is at the edge, where it would be cut off.
    for edge in (bar[0], bar[-1], bar[:, 0], bar[:, -1]):
        assert edge.min() == 255


def test_the_caption_tells_label_and_percent():
    captions = [("cat", 0.1231), ("cat", 0.1232), ("cat", 0.1241), ("dog", 0.1231)]
    bars = [draw_overlay(Image.new("L", (99, 9)), np.zeros((1, 1)), *c) for c in captions]
    assert bars[0] == bars[1] and bars[0] != bars[2] and bars[0] != bars[3]


@hypothesis.given(strategies.text(strategies.characters(categories=None), max_size=100))
@hypothesis.settings(deadline=None, max_examples=50)
def test_any_label(label):
    overlay = draw_overlay(Image.new("RGB", (30, 30)), np.zeros((1, 1)), label, 1.0)
    assert overlay.width < 1500 and overlay.height < 100


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_any_kind_of_picture(mode):
    assert draw_overlay(Image.new(mode, (8, 8)), np.zeros((1, 1)), "cat", 0.0).mode == "RGB"


def test_a_picture_of_16_bits_is_not_white():
    picture = Image.new("I;16", (8, 8), 128 * 256)
    overlay = draw_overlay(picture, np.zeros((1, 1)), "cat", 0.0)
    assert overlay.getpixel((4, 4)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("size", "expected"), [((10**6, 1), (10**6, 29)), ((1, 10**6), (1, 10**6 + 28))]
)
def test_a_picture_like_a_thread_stays_one(size, expected):
    assert draw_overlay(Image.new("L", size), np.zeros((2, 2)), 40 * "a", 0.5).size == expected

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patchpu.crop_and_flip import restore_maps, transform_boxes, transform_maps

WHOLE = (0.0, 0.0, 1.0, 1.0)
# In steps of 1/19.3, so that no cell's middle is on a border where rounding decides.
CROPS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(2, 10), st.integers(2, 10)).map(
    lambda box: np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]]) / 19.3
)
SIZES = st.integers(1, 5)


def make_maps(num_images, height, width, num_labels=3):
    rng = np.random.default_rng(0)
    return rng.random((num_images, num_labels, height, width)).astype("float32")


def test_boxes_by_hand():
    boxes = [[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.2, 0.2], [0.5, 0.25, 0.6, 0.5]]
    crop = [0.5, 0.25, 1.0, 0.75]
    expected = [[0, 0.5, 0.5, 1], [0, 0, 0, 0], [0, 0, 0.2, 0.5]]
    np.testing.assert_allclose(transform_boxes(boxes, crop, False), expected, atol=1e-6)
    expected = [[0, 0, 0.5, 0.5], [0, 1, 0, 1], [0, 0.5, 0.2, 1]]
    flipped = transform_boxes(boxes, crop, True)
    np.testing.assert_allclose(flipped, expected, atol=1e-6)
    assert flipped.dtype == np.float32
    assert transform_boxes([], crop, True).shape == (0, 4)


@pytest.mark.parametrize("flip_type", [bool, "float32"])  # Keras makes floats of all targets
def test_maps_go_where_a_picture_goes(flip_type):
    maps = make_maps(3, 8, 10)
    cells = np.array([[0, 0, 8, 10], [2, 3, 7, 9], [1, 0, 5, 5]])
    crop = (cells / [8, 10, 8, 10]).astype("float32")
    flip = np.array([False, True, False])
    views = transform_maps(maps, crop, flip.astype(flip_type), 12, 11)
    for image, (top, left, bottom, right) in enumerate(cells):
        pixels = maps[image, :, top:bottom, left:right].transpose(1, 2, 0)
        expected = tf.image.resize(pixels, (12, 11)).numpy()
        if image == 0:
            margin = slice(None)
        else:
            # A cut-out picture repeats its border where a map goes on.
            margin = slice(2, -2)
        expected = expected[:, ::-1] if flip[image] else expected
        np.testing.assert_allclose(
            views[image].numpy().transpose(1, 2, 0)[margin, margin],
            expected[margin, margin],
            atol=1e-5,
        )


def test_maps_go_where_an_enlarged_picture_goes():
    # As data/augmentation.py makes a picture: slice, resize, mirror.
    picture = np.random.default_rng(0).uniform(size=(12, 12, 2)).astype("float32")
    pixels = tf.image.resize(picture[3:9, 2:11], (12, 12))[:, ::-1]
    crop = np.array([[3 / 12, 2 / 12, 9 / 12, 11 / 12]], "float32")
    views = transform_maps(tf.transpose(picture, (2, 0, 1))[None], crop, [True], 12, 12)
    # But at the borders of the crop, where a picture's slice has no neighbours.
    np.testing.assert_allclose(
        views[0, :, 1:-1, 1:-1], tf.transpose(pixels, (2, 0, 1))[:, 1:-1, 1:-1], atol=1e-5
    )


@settings(max_examples=60)
@given(CROPS, st.booleans(), SIZES, SIZES, SIZES, st.integers(0, 99))
def test_transformed_maps_by_hand(seen_by_hand, crop, flip, height, width, size, seed):
    maps = np.random.default_rng(seed).uniform(size=(1, 2, size, size)).astype("float32")
    views = transform_maps(maps, crop[None], [flip], height, width)
    for label in range(2):
        expected = seen_by_hand(maps[0, label], crop, flip, (height, width))
        np.testing.assert_allclose(views[0, label], expected, atol=1e-5)


@settings(max_examples=60)
@given(CROPS, st.booleans(), SIZES, SIZES, SIZES, st.integers(0, 99))
def test_restored_maps_move_those_of_the_image(
    moved_by_hand, crop, flip, height, width, size, seed
):
    rng = np.random.default_rng(seed)
    running = rng.uniform(size=(size, size))
    present = rng.uniform(size=(height, width))
    views = present[None, None].astype("float32")
    maps, covered = restore_maps(views, crop[None], [flip], size, size)
    moved = np.where(covered[0, 0], 0.8 * running + 0.2 * maps[0, 0], running)
    np.testing.assert_allclose(
        moved, moved_by_hand(running, present, crop, flip, 0.8), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (5, 7), (7, 7), (14, 14)])
def test_the_whole_image_changes_nothing(height, width):
    maps = make_maps(2, height, width)
    crop = np.array([WHOLE] * 2, "float32")
    views = transform_maps(maps, crop, [False, True], height, width)
    np.testing.assert_allclose(views[0], maps[0], atol=1e-6)
    np.testing.assert_allclose(views[1], maps[1, :, :, ::-1], atol=1e-6)
    restored, covered = restore_maps(maps, crop, [False, True], height, width)
    np.testing.assert_allclose(restored[0], maps[0], atol=1e-6)
    np.testing.assert_allclose(restored[1], maps[1, :, :, ::-1], atol=1e-6)
    assert covered.dtype == bool and covered.shape == (2, 1, height, width) and np.all(covered)


def test_restored_maps_by_hand():
    views = np.arange(16, dtype="float32").reshape(1, 1, 4, 4)
    crop = np.array([[0.5, 0.25, 1.0, 0.75]], "float32")
    # Two cells of the view on one of the image.
    restored, covered = restore_maps(views, crop, [False], 4, 4)
    expected = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    np.testing.assert_array_equal(covered[0, 0], expected)
    np.testing.assert_allclose(restored[0, 0, 2:, 1:3], [[2.5, 4.5], [10.5, 12.5]])
    restored, covered = restore_maps(views, crop, [True], 4, 4)
    np.testing.assert_array_equal(covered[0, 0], expected)
    np.testing.assert_allclose(restored[0, 0, 2:, 1:3], [[4.5, 2.5], [12.5, 10.5]])


def test_what_goes_there_comes_back():
    y, x = np.mgrid[:10, :10].astype("float32")
    maps = np.stack([y, x, 2 * y - x])[None].repeat(4, axis=0)
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 0.4, (4, 2))
    crop = np.concatenate([low, low + 0.55], axis=1).astype("float32")
    flip = np.array([True, False, True, False])
    views = transform_maps(maps, crop, flip, 20, 20)
    restored, covered = restore_maps(views, crop, flip, 10, 10)
    inside = np.broadcast_to(covered, maps.shape)
    assert 4 * 25 <= np.sum(covered) <= 4 * 36
    # Half a cell of the view is lost at its border.
    assert np.abs(restored - maps)[inside].max() < 0.6
    mostly = np.abs(restored - maps)[inside] < 1e-3
    assert mostly.mean() > 0.6


def test_what_comes_back_goes_there_again():
    views = make_maps(1, 4, 4)
    crop = np.array([[0.25, 0.5, 0.75, 1.0]], "float32")
    maps, covered = restore_maps(views, crop, [True], 8, 8)
    assert np.sum(covered) == 4 * 4
    maps = tf.where(covered, maps, 0)
    np.testing.assert_allclose(transform_maps(maps, crop, [True], 4, 4), views, atol=1e-5)


def test_maps_in_a_graph_give_gradients():
    maps = keras.ops.convert_to_tensor(make_maps(1, 4, 4))
    crop = keras.ops.convert_to_tensor([[0.0, 0.0, 0.5, 0.5]])

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(maps)
            total = keras.ops.sum(transform_maps(maps, crop, [[True]][0], 2, 2))
        return tape.gradient(total, maps)

    # The corner alone is seen, each of its cells by one of the view.
    expected = np.zeros((4, 4))
    expected[:2, :2] = 1
    np.testing.assert_allclose(gradient()[0, 0], expected, atol=1e-6)

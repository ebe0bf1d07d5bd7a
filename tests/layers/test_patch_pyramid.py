import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patchpu.layers import PatchPyramid


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def mean_of_2x2(images):
    """One level down, on even sizes."""
    batch, height, width, channels = images.shape
    blocks = images.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.mean(axis=(2, 4))


def bilinear_axis(images, axis, size):
    """Half-pixel-centre linear interpolation of one axis, without antialiasing."""
    old = images.shape[axis]
    position = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, old - 1)
    fraction = (position - below).reshape([-1 if a == axis else 1 for a in range(4)])
    low, high = np.take(images, below, axis), np.take(images, above, axis)
    return low * (1 - fraction) + high * fraction


def bilinear_half(images):
    images = bilinear_axis(images, 1, images.shape[1] // 2)
    return bilinear_axis(images, 2, images.shape[2] // 2)


def cut(images, size):
    """Patches in row-major order, whole ones only."""
    rows, columns = images.shape[1] // size, images.shape[2] // size
    patches = [
        images[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
        for row in range(rows)
        for column in range(columns)
    ]
    return np.stack(patches, axis=1)


def numpy_pyramid(images, size, num_levels, halve):
    """Patches `(B, M, P, P, C)` in float64, as a list with one array a level."""
    images = images.astype("float64")
    levels = []
    for _ in range(num_levels):
        levels.append(cut(images, size))
        images = halve(images)
    return levels


def test_130_patches_of_a_640_pixel_image():
    pyramid = PatchPyramid()
    assert pyramid.grids(640, 640) == [(10, 10), (5, 5), (2, 2), (1, 1)]
    assert pyramid.num_patches(640, 640) == 130
    assert pyramid.compute_output_shape((None, 640, 640, 3)) == (None, 130, 64, 64, 3)
    assert pyramid(keras.KerasTensor((None, 640, 640, 3))).shape == (None, 130, 64, 64, 3)
    assert pyramid.boxes(640, 640).shape == (130, 4)


@pytest.mark.parametrize("height, width", [(64, 64), (64, 96), (128, 64)])
def test_even_sizes_equal_numpy(height, width):
    images = random_images(2, height, width, 3)
    expected = np.concatenate(numpy_pyramid(images, 16, 3, mean_of_2x2), axis=1)
    patches = np.asarray(PatchPyramid(16, 3)(images))
    assert patches.shape == expected.shape
    np.testing.assert_allclose(patches, expected, rtol=1e-5, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(12, 40), st.integers(12, 40), st.integers(1, 4), st.integers(1, 2))
def test_odd_sizes_and_remainders_equal_numpy(height, width, size, channels):
    images = random_images(2, height, width, channels)
    expected = np.concatenate(numpy_pyramid(images, size, 2, bilinear_half), axis=1)
    pyramid = PatchPyramid(size, 2)
    patches = np.asarray(pyramid(images))
    assert patches.shape == expected.shape == (2, *pyramid.compute_output_shape(images.shape)[1:])
    np.testing.assert_allclose(patches, expected, rtol=1e-4, atol=1e-2)


def test_both_numpy_references_agree_on_even_sizes():
    images = random_images(1, 8, 12, 1).astype("float64")
    np.testing.assert_allclose(bilinear_half(images), mean_of_2x2(images), rtol=1e-12)


def test_patch_is_its_box_of_the_image_shrunk():
    images = random_images(1, 64, 96, 3)
    pyramid = PatchPyramid(16, 3)
    patches = np.asarray(pyramid(images))[0]
    boxes = pyramid.boxes(64, 96)
    assert boxes.shape == (len(patches), 4)
    for patch, (ymin, xmin, ymax, xmax) in zip(patches, boxes.astype(int), strict=True):
        crop = images[:, ymin:ymax, xmin:xmax].astype("float64")
        while crop.shape[1] > 16:
            crop = mean_of_2x2(crop)
        np.testing.assert_allclose(patch, crop[0], rtol=1e-5, atol=1e-4)


def test_boxes_of_a_level_of_odd_size():
    # Level 1 of 9 x 12 pixels is 4 x 6: one of its pixels is 2.25 high and 2 wide.
    boxes = PatchPyramid(3, 2).boxes(9, 12)
    assert len(boxes) == 3 * 4 + 1 * 2
    np.testing.assert_allclose(boxes[5], [3, 3, 6, 6])
    np.testing.assert_allclose(boxes[-2:], [[0, 0, 6.75, 6], [0, 6, 6.75, 12]])


def test_uint8_images_equal_float_images():
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("uint8")
    pyramid = PatchPyramid(8, 3)
    patches = pyramid(images)
    assert keras.backend.standardize_dtype(patches.dtype) == "float32"
    np.testing.assert_array_equal(patches, pyramid(images.astype("float32")))


def test_other_backends_extract_the_same(monkeypatch):
    images = random_images(2, 37, 50, 3)
    pyramid = PatchPyramid(8, 3)
    expected = np.asarray(pyramid(images))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    np.testing.assert_array_equal(pyramid(images), expected)


def numbered_images(batch):
    """16 patches of one pixel, whose values are their positions."""
    return np.repeat(np.arange(16, dtype="float32").reshape(1, 4, 4, 1), batch, axis=0)


def test_training_keeps_a_subset_of_each_level():
    images = random_images(6, 32, 32, 1)
    full = numpy_pyramid(images, 4, 3, mean_of_2x2)  # 64, 16 and 4 patches
    pyramid = PatchPyramid(4, 3, patches_per_level=[10, 5, 9])
    kept = np.asarray(pyramid(images, training=True))
    assert kept.shape == (6, 10 + 5 + 4, 4, 4, 1)

    drawn = []
    for image in range(6):
        positions = []
        for level, part in enumerate(np.split(kept[image], [10, 15])):
            distance = np.abs(part[:, None] - full[level][image][None]).max(axis=(2, 3, 4))
            assert (distance.min(axis=1) < 1e-3).all()
            positions.append(distance.argmin(axis=1))
        for level in positions:
            assert (np.diff(level) > 0).all()  # without replacement, in order
        drawn.append(tuple(positions[0]))
    assert len(set(drawn)) == 6


def test_subset_is_uniform_and_drawn_anew():
    images = numbered_images(2000)
    pyramid = PatchPyramid(1, 1, patches_per_level=[4])
    first = np.asarray(pyramid(images, training=True)).astype(int)
    second = np.asarray(pyramid(images, training=True)).astype(int)
    assert (first != second).any(axis=(1, 2, 3, 4)).mean() > 0.99
    # Each of the 16 is drawn by a quarter of 2000 images: 500 with a deviation of 19.
    counts = np.bincount(first.ravel(), minlength=16)
    assert (np.abs(counts - 500) < 5 * 19.4).all()


def test_subset_repeats_with_the_seed():
    images = numbered_images(5)
    draws = [
        np.asarray(PatchPyramid(1, 1, patches_per_level=[7], seed=seed)(images, training=True))
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_inference_uses_all_patches():
    images = random_images(2, 32, 32, 3)
    everything = PatchPyramid(8, 2)(images)
    pyramid = PatchPyramid(8, 2, patches_per_level=(3, 1))
    np.testing.assert_array_equal(pyramid(images), everything)
    np.testing.assert_array_equal(pyramid(images, training=False), everything)
    assert pyramid.compute_output_shape(images.shape) == (2, None, 8, 8, 3)


@pytest.mark.parametrize("height, width", [(64, 256), (256, 127), (31, 31)])
def test_level_without_a_patch_is_an_error(height, width):
    pyramid = PatchPyramid(32, 3)
    with pytest.raises(ValueError, match="smaller than one patch"):
        pyramid(np.zeros((1, height, width, 3), "float32"))
    with pytest.raises(ValueError, match=f"Level .* is .*{pyramid.patch_size}"):
        pyramid.boxes(height, width)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_levels": 0},
        {"patch_size": 0},
        {"num_levels": 2, "patches_per_level": [3]},
        {"num_levels": 2, "patches_per_level": [3, 0]},
    ],
)
def test_invalid_arguments(arguments):
    with pytest.raises(ValueError, match="Invalid value for argument"):
        PatchPyramid(**arguments)


def test_config_round_trip():
    pyramid = PatchPyramid(8, 2, patches_per_level=[3, 2], seed=5, name="pyramid")
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(pyramid))
    images = random_images(3, 32, 32, 1)
    np.testing.assert_array_equal(clone(images, training=True), pyramid(images, training=True))


def test_weights_of_a_model_that_takes_all_patches(tmp_path):
    inputs = keras.Input((4, 4, 1))
    whole = keras.Model(inputs, PatchPyramid(1, 1, name="pyramid")(inputs))
    whole.save_weights(tmp_path / "whole.weights.h5")
    pyramid = PatchPyramid(1, 1, patches_per_level=[4], name="pyramid")
    keras.Model(inputs, pyramid(inputs)).load_weights(tmp_path / "whole.weights.h5")
    assert pyramid(numbered_images(1), training=True).shape[1] == 4


def test_draws_go_on_where_a_saved_model_stopped(tmp_path):
    images = numbered_images(50)
    inputs = keras.Input((4, 4, 1))
    pyramid = PatchPyramid(1, 1, patches_per_level=[4])
    model = keras.Model(inputs, pyramid(inputs))
    first = np.asarray(model(images, training=True))
    model.save(tmp_path / "model.keras")
    clone = keras.models.load_model(tmp_path / "model.keras")
    second = np.asarray(model(images, training=True))
    assert (first != second).any()
    np.testing.assert_array_equal(clone(images, training=True), second)

import io
import struct
import zlib

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from PIL import Image

from keras_patchpu.data import decode_and_resize, resize_boxes


def encode(pixels, form="PNG", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


def two_colours(height=24, width=32):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[...] = (204, 51, 0)  # colours of the web palette, which mode P keeps
    pixels[:, width // 2 :] = (51, 102, 204)
    return pixels


def png_of_16_bits(pixels):
    """An RGB PNG of 16 bits, which Pillow cannot write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("GIF", "RGB"),
        ("BMP", "RGB"),
        ("BMP", "RGBA"),
    ],
)
def test_every_kind_of_colour_picture_keeps_its_colours(form, mode):
    image = decode_and_resize(encode(two_colours(), form, mode), 32).numpy()
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    # Away from the edge between the colours, where JPEG and the resize blend them.
    tolerance = 4 if form == "JPEG" else 0
    assert np.abs(image[:, :8].astype(int) - (204, 51, 0)).max() <= tolerance
    assert np.abs(image[:, -8:].astype(int) - (51, 102, 204)).max() <= tolerance


@pytest.mark.parametrize(("form", "mode"), [("JPEG", "L"), ("PNG", "L"), ("PNG", "LA")])
def test_grey_pictures_become_three_equal_channels(form, mode):
    image = decode_and_resize(encode(np.full((20, 20), 97, np.uint8), form, mode), 16).numpy()
    np.testing.assert_array_equal(image, np.full((16, 16, 3), 97))


def test_of_16_bits_the_upper_8_are_kept():
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    image = decode_and_resize(encode(grey), 16).numpy()
    np.testing.assert_array_equal(image, np.repeat(grey[..., None] >> 8, 3, axis=-1))
    colour = np.stack([grey, grey[::-1], grey.T], axis=-1)
    image = decode_and_resize(png_of_16_bits(colour), 16).numpy()
    np.testing.assert_array_equal(image, colour >> 8)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_a_picture_of_one_pixel_fills_the_square(resize):
    image = decode_and_resize(encode(np.full((1, 1, 3), 77, np.uint8)), 9, resize).numpy()
    np.testing.assert_array_equal(image, np.full((9, 9, 3), 77))


def test_a_line_keeps_at_least_one_pixel_when_padded():
    image = decode_and_resize(encode(np.full((1, 200, 3), 255, np.uint8)), 8, "pad").numpy()
    assert np.flatnonzero(image.any(axis=(1, 2))).tolist() == [3]
    assert (image[3] == 255).all()


def test_stretch_equals_pillow_to_one_grey_level():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
    image = decode_and_resize(encode(pixels), 32).numpy().astype(int)
    assert np.abs(image - np.asarray(expected)).max() <= 1


def test_values_are_rounded_not_truncated():
    # The mean of each 2 x 2 block is 10.75; antialiasing reaches further, yet all blocks are alike.
    pixels = np.tile(np.array([[10, 11], [11, 11]], np.uint8), (8, 8))
    image = decode_and_resize(encode(pixels), 8).numpy()
    np.testing.assert_array_equal(image[2:-2, 2:-2], 11)


def test_pad_centres_on_black():
    image = decode_and_resize(encode(np.full((10, 20, 3), 200, np.uint8)), 40, "pad").numpy()
    expected = np.zeros((40, 40, 3))
    expected[10:30] = 200
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"not a picture at all",
        encode(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8), "JPEG")[
            :4000
        ],
        encode(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8))[:4000],
    ],
    ids=["empty", "text", "truncated JPEG", "truncated PNG"],
)
def test_broken_pictures_are_refused(encoded):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_and_resize(encoded, 16)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_runs_in_map_map_fn_and_a_saved_model(tmp_path, resize):
    pictures = [encode(two_colours(24, 32)), encode(two_colours(50, 20), "JPEG")]
    expected = np.stack([decode_and_resize(picture, 16, resize) for picture in pictures])

    dataset = tf.data.Dataset.from_tensor_slices(pictures)
    dataset = dataset.map(lambda picture: decode_and_resize(picture, 16, resize))
    assert dataset.element_spec == tf.TensorSpec((16, 16, 3), tf.uint8)
    np.testing.assert_array_equal(np.stack(list(dataset.as_numpy_iterator())), expected)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def decode_all(pictures):
        return tf.map_fn(
            lambda picture: decode_and_resize(picture, 16, resize),
            pictures,
            fn_output_signature=tf.TensorSpec((16, 16, 3), tf.uint8),
        )

    module = tf.Module()
    module.decode_all = decode_all
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.decode_all(tf.constant(pictures)), expected)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    height=st.integers(1, 70), width=st.integers(1, 70), size=st.integers(8, 60), data=st.data()
)
def test_boxes_go_where_the_picture_goes(height, width, size, data):
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    left = data.draw(st.integers(0, width - 1))
    right = data.draw(st.integers(left + 1, width))
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = 255
    pixels[top:bottom, left:right] = (0, 255, 0)
    box = np.array([[top / height, left / width, bottom / height, right / width]], np.float32)
    for resize in ("stretch", "pad"):
        image = decode_and_resize(encode(pixels), size, resize).numpy().astype(float) / 255
        ymin, xmin, ymax, xmax = resize_boxes(box, height, width, size, resize)[0] * size
        # Along one axis an edge blends over the filter's radius, one pixel of the coarser grid, and
        # is half way exactly where the edge is, as long as the other edge is two radii away.
        two_radii = 2 * max(1, size / min(height, width))
        centres = np.arange(size) + 0.5
        for axis, low, high in ((1, ymin, ymax), (0, xmin, xmax)):
            profile = image[..., 1].max(axis=axis)
            inside = (centres > low) & (centres < high)
            clear = (abs(centres - low) > 0.3) & (abs(centres - high) > 0.3)
            if high - low >= two_radii:
                np.testing.assert_array_equal((profile > profile.max() / 2)[clear], inside[clear])


def test_boxes_of_a_padded_picture_by_hand():
    # 10 x 20 in a square of 40: 20 x 40, ten rows of black above and below.
    boxes = resize_boxes(np.array([[0.0, 0.0, 1.0, 1.0], [0.5, 0.25, 1.0, 0.5]]), 10, 20, 40, "pad")
    np.testing.assert_array_equal(boxes, [[0.25, 0.0, 0.75, 1.0], [0.5, 0.25, 0.75, 0.5]])
    assert boxes.dtype == np.float32
    assert resize_boxes(np.zeros((0, 4)), 10, 20, 40, "pad").shape == (0, 4)


def test_an_unknown_resize_is_refused():
    with pytest.raises(ValueError, match="resize='crop'"):
        decode_and_resize(encode(two_colours()), 16, "crop")
    with pytest.raises(ValueError, match="resize='crop'"):
        resize_boxes(np.zeros((1, 4)), 10, 20, 40, "crop")

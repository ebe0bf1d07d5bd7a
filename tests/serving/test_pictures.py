"""Pictures of every kind, whole and broken, each decoded or told apart by itself."""

import io
import pathlib

import hypothesis
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from hypothesis import strategies
from PIL import Image

from keras_patchpu.data import decode_and_resize
from keras_patchpu.serving.pictures import NO_PICTURE, OK, TOO_LARGE, decode_pictures

SIZE = 32
PHOTOGRAPH = pathlib.Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"


@pytest.fixture(scope="module")
def decode():
    """`decode_pictures` in a graph, as it is served."""
    spec = tf.TensorSpec((None,), tf.string)
    return tf.function(lambda pictures: decode_pictures(pictures, SIZE, "stretch"), [spec])


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def forms():
    """A photograph in the forms that cameras, editors and the web give it."""
    small = Image.open(PHOTOGRAPH).resize((60, 40))
    rotated = Image.Exif()
    rotated[0x0112] = 6  # the camera was held upright
    sixteen_bits = Image.fromarray(np.asarray(small.convert("L")).astype("uint16") * 257)
    return {
        "photograph": PHOTOGRAPH.read_bytes(),
        "grey JPEG": encoded(small.convert("L"), "jpeg"),
        "CMYK JPEG": encoded(small.convert("CMYK"), "jpeg"),
        "progressive JPEG": encoded(small, "jpeg", progressive=True),
        "JPEG turned by EXIF": encoded(small, "jpeg", exif=rotated),
        "PNG": encoded(small, "png"),
        "PNG of 16 bits": encoded(sixteen_bits, "png"),
        "PNG of 1 bit": encoded(small.convert("1"), "png"),
        "transparent PNG": encoded(small.convert("RGBA"), "png"),
        "palette PNG": encoded(small.convert("P"), "png"),
        "GIF": encoded(small, "gif"),
        "animated GIF": encoded(
            small, "gif", save_all=True, append_images=[small.rotate(90), small.rotate(180)]
        ),
        "BMP": encoded(small, "bmp"),
        "1 x 1": encoded(small.resize((1, 1)), "png"),
        "1 x 700": encoded(small.resize((1, 700)), "jpeg"),
        "7000 x 7000": encoded(Image.new("1", (7000, 7000)), "png"),  # 49 million pixels
    }


FORMS = forms()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_in_training(decode, form):
    images, status = decode([FORMS[form]])
    assert status.numpy().tolist() == [OK.encode()]
    np.testing.assert_array_equal(images[0], decode_and_resize(FORMS[form], SIZE))
    assert form == "7000 x 7000" or images.numpy().any()


@pytest.mark.parametrize(
    "kind, size", [("png", (12000, 12000)), ("gif", (60000, 1000)), ("bmp", (8000, 7000))]
)
def test_whole_pictures_that_are_too_large(decode, kind, size):
    _, status = decode([encoded(Image.new("1", size), kind), FORMS["PNG"]])
    assert status.numpy().tolist() == [TOO_LARGE.encode(), OK.encode()]


@pytest.mark.parametrize("form", FORMS)
def test_cut_off(decode, form):
    content = FORMS[form]
    cuts = [content[: len(content) * part // 5] for part in range(4)]
    _, status = decode(cuts)
    # GIF and BMP do not say how long they are: TensorFlow may take a part for the whole.
    if content[:2] in (b"\xff\xd8", b"\x89P"):
        assert status.numpy().tolist() == 4 * [NO_PICTURE.encode()]


@hypothesis.settings(deadline=None, max_examples=300)
@hypothesis.given(
    form=strategies.sampled_from(sorted(FORMS)),
    bits=strategies.lists(strategies.tuples(strategies.floats(0, 1), strategies.integers(0, 7))),
    # Headers are where a flipped bit does most.
    header_bits=strategies.lists(strategies.integers(0, 8 * 40), max_size=4),
)
def test_flipped_bits_do_no_harm_to_others(decode, form, bits, header_bits):
    content = bytearray(FORMS[form])
    for place, bit in bits:
        content[int(place * (len(content) - 1))] ^= 1 << bit
    for bit in header_bits:
        content[bit // 8 % len(content)] ^= 1 << bit % 8
    images, status = decode([bytes(content), FORMS["PNG"]])
    assert status[0].numpy().decode() in (OK, NO_PICTURE, TOO_LARGE)
    assert status[1] == OK
    if status[0] != OK:
        assert not images[0].numpy().any()
    np.testing.assert_array_equal(images[1], decode_and_resize(FORMS["PNG"], SIZE))

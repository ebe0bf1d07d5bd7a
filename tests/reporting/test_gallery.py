"""Pictures and maps: attention planted on known patches is drawn where they are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import Examples
from keras_patchpu.reporting.cases import Case
from keras_patchpu.reporting.gallery import LONGEST_SIDE, as_thumbnail, draw_map, picture_cases

GREY = 128


def decode(thumbnail):
    kind, encoded = thumbnail.uri.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        assert picture.format == "JPEG" and picture.size == (thumbnail.width, thumbnail.height)
        return np.asarray(picture.convert("RGB")).astype(int)


def redness(thumbnail):
    """How far each pixel is from grey to red, from 0 to 1."""
    pixels = decode(thumbnail)
    return np.clip((pixels[..., 0] - pixels[..., 1]) / 200, 0, 1)


class FourPatches:
    """A model of four patches, one a quarter of its square, that looks where it is told to."""

    image_size = 8
    attention_boxes = np.array([[0, 0, 4, 4], [0, 4, 4, 8], [4, 0, 8, 4], [4, 4, 8, 8]])

    def __init__(self, attention):
        self.attention = attention
        self.batches = []

    def predict_on_batch(self, images):
        self.batches.append(np.asarray(images))
        rows = np.asarray(images)[:, 0, 0, 0].astype(int) // 10  # written into the picture
        return {"attention": self.attention[rows]}


def make_examples(sizes):
    """Pictures of one grey each, ten times their row."""
    images = []
    for row, size in enumerate(sizes):
        stream = io.BytesIO()
        Image.new("RGB", size, (10 * row + 5,) * 3).save(stream, "png")
        images.append(stream.getvalue())
    return Examples(
        name="grey",
        split="test",
        label_names=("a", "b", "c"),
        keys=tuple(f"{row}.png" for row in range(len(sizes))),
        images=images,
        labels=np.zeros((len(sizes), 3), "float32"),
    )


@pytest.mark.parametrize("resize", ["stretch", "pad"])
def test_attention_is_drawn_on_its_patch(resize):
    sizes = [(40, 40), (60, 30), (30, 60), (20, 20)]
    rng = np.random.default_rng(0)
    attention = np.zeros((4, 3, 4), "float32")
    planted = rng.integers(4, size=(4, 3))
    for row, label in np.ndindex(4, 3):
        attention[row, label, planted[row, label]] = 0.3
    examples = make_examples(sizes)
    if resize == "pad":  # the first pixel of a padded picture is black
        sizes = sizes[:1]
    model = FourPatches(attention)
    cases = [Case(row, (2, 0), 1.0) for row in reversed(range(len(sizes)))]
    drawn = picture_cases(model, examples, cases, batch_size=3, resize=resize)
    assert [pictures.case for pictures in drawn] == cases
    for pictures in drawn:
        width, height = sizes[pictures.case.row]
        scale = LONGEST_SIDE / max(width, height)
        size = (pictures.picture.width, pictures.picture.height)
        assert size == (round(width * scale), round(height * scale))
        assert pictures.picture.place == "" and redness(pictures.picture).max() < 0.05
        for label, thumbnail in zip(pictures.case.columns, pictures.maps, strict=True):
            red = redness(thumbnail)
            rows, columns = np.array_split(red, 2, axis=0), 2
            quarters = [part.mean() for half in rows for part in np.array_split(half, columns, 1)]
            patch = planted[pictures.case.row, label]
            assert np.argmax(quarters) == patch and quarters[patch] > 0.5
            assert max(np.delete(quarters, patch)) < 0.1
            names = ["top left", "top right", "bottom left", "bottom right"]
            assert thumbnail.place == names[patch]


def test_a_padded_picture_shows_its_part_of_the_square():
    """Twice as wide as high, it is in the middle of the square: half of each patch is black."""
    attention = np.zeros((1, 3, 4), "float32")
    attention[:, :, 1] = 1
    examples = make_examples([(60, 30)])
    (pictures,) = picture_cases(
        FourPatches(attention), examples, [Case(0, (0,), 1.0)], 1, resize="pad"
    )
    red = redness(pictures.maps[0])
    assert red.shape == (LONGEST_SIDE // 2, LONGEST_SIDE)
    middle = LONGEST_SIDE // 4
    assert red[: middle - 4, 2 * middle + 4 :].min() > 0.5
    assert red[middle + 4 :].max() < 0.1 and red[:, : 2 * middle - 4].max() < 0.1


def test_only_the_pictures_of_the_cases_are_read():
    examples = make_examples([(9, 9)] * 5)
    model = FourPatches(np.ones((5, 3, 4), "float32"))
    cases = [Case(3, (0,), 1.0), Case(1, (1,), 1.0), Case(3, (2,), 1.0)]
    assert len(picture_cases(model, examples, cases, batch_size=8)) == 3
    assert [len(batch) for batch in model.batches] == [2]
    assert picture_cases(model, examples, [], batch_size=8) == []


def test_a_picture_of_one_pixel():
    examples = make_examples([(1, 1)])
    model = FourPatches(np.ones((1, 3, 4), "float32"))
    (pictures,) = picture_cases(model, examples, [Case(0, (0,), 1.0)], 1)
    assert pictures.picture.width == pictures.picture.height == LONGEST_SIDE


@pytest.mark.parametrize(
    ("spot", "place"),
    [((0, 0), "top left"), ((4, 4), "middle"), ((4, 8), "right"), ((8, 4), "bottom")],
)
def test_places_in_words(spot, place):
    attention = np.zeros((9, 9))
    attention[spot] = 0.01
    assert draw_map(Image.new("RGB", (9, 9)), attention).place == place


def test_a_map_of_nothing():
    picture = Image.new("RGB", (32, 32), (GREY,) * 3)
    thumbnail = draw_map(picture, np.zeros((32, 32)))
    assert thumbnail.place == "nowhere" and redness(thumbnail).max() < 0.05
    assert picture.getpixel((0, 0)) == (GREY,) * 3


def test_a_thumbnail_is_small():
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((176, 132))
    assert len(as_thumbnail(photo).uri) < 15_000

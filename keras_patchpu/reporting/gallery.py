"""Pictures with maps, small enough to stand in a page."""

import base64
import dataclasses
import io
from collections.abc import Sequence

import keras
import numpy as np
from PIL import Image

from keras_patchpu.data import Examples, evaluation_batches, read_encoded
from keras_patchpu.data.decode import decode
from keras_patchpu.data.silent_libraries import libraries_silent
from keras_patchpu.localization import dense_maps, maps_in_picture
from keras_patchpu.reporting.cases import Case

LONGEST_SIDE = 176
_QUALITY = 80
_RED = (235, 20, 30)
_OPACITY = 0.7


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """A small picture.

    Attributes:
        uri: all of it, as `data:image/jpeg;base64,...`.
        width, height: in pixels.
        place: of a map, in words: where it is strongest; of a picture nothing.
    """

    uri: str
    width: int
    height: int
    place: str = ""


@dataclasses.dataclass(frozen=True)
class CasePictures:
    """What there is to see of a case: the picture, and a map for each of its labels."""

    case: Case
    picture: Thumbnail
    maps: tuple[Thumbnail, ...]


def picture_cases(
    model: keras.Model,
    examples: Examples,
    cases: Sequence[Case],
    batch_size: int,
    resize: str = "stretch",
    cached: np.ndarray | None = None,
) -> list[CasePictures]:
    """Draws the maps of some images: only they are read, and only their attention is kept.

    Args:
        model: one of `keras_patchpu.models`.
        examples: N images; L labels.
        cases: rows of these, and columns of their labels.
        batch_size: images a step.
        resize: `"stretch"` or `"pad"`, as the model was trained.
        cached: what `load_images` returned, or None to read the files.

    Returns:
        As many as there are cases, in their order.
    """
    rows = sorted({case.row for case in cases})
    attention = _attention(model, examples, rows, batch_size, resize, cached)
    return [
        _draw_case(model, examples, case, attention[case.row][list(case.columns)], resize)
        for case in cases
    ]


def _attention(model, examples, rows, batch_size, resize, cached):
    """`(L, M)` of each row."""
    attention = {}
    if rows:
        batches = evaluation_batches(
            examples, batch_size, model.image_size, resize, cached, rows=rows
        )
        for images, targets in batches.as_numpy_iterator():
            outputs = keras.ops.convert_to_numpy(model.predict_on_batch(images)["attention"])
            attention.update(zip(targets["index"].tolist(), outputs, strict=True))
    return attention


def _draw_case(model, examples, case, attention, resize):
    with libraries_silent():
        pixels = decode(read_encoded(examples, case.row)).numpy()
    picture = Image.fromarray(pixels)
    # Of a picture of whatever size, at whose own a map would be as large as a poster.
    scale = LONGEST_SIDE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    small = picture.resize(size, reducing_gap=3.0)
    maps = dense_maps(attention, model.attention_boxes, model.image_size)
    maps = maps_in_picture(maps, small.height, small.width, resize)
    return CasePictures(case, as_thumbnail(small), tuple(draw_map(small, one) for one in maps))


def draw_map(picture: Image.Image, attention_map: np.ndarray) -> Thumbnail:
    """A picture with a map in red over it, which is opaque in part where the map is largest.

    Unlike `draw_overlay` it is scaled by that, for it is to say where, and not how much.

    Args:
        picture: RGB, `W` by `H`.
        attention_map: `(H, W)`, at least 0.
    """
    attention_map = np.asarray(attention_map, "float64")
    strength = attention_map / (attention_map.max() or 1.0)
    mask = Image.fromarray(np.round(255 * _OPACITY * strength).astype("uint8"))
    picture = picture.copy()
    picture.paste(_RED, mask=mask)
    return dataclasses.replace(as_thumbnail(picture), place=_place(strength))


def as_thumbnail(picture: Image.Image) -> Thumbnail:
    """A JPEG picture of a few kilobytes in a URI."""
    stream = io.BytesIO()
    picture.save(stream, "jpeg", quality=_QUALITY)
    encoded = base64.b64encode(stream.getvalue()).decode()
    return Thumbnail(f"data:image/jpeg;base64,{encoded}", picture.width, picture.height)


def _place(strength):
    """The third of the height and of the width that the middle of the strongest part is in."""
    if not strength.any():
        return "nowhere"
    row, column = np.mean(np.nonzero(strength >= 0.9), axis=1) / strength.shape
    vertical = ("top", "", "bottom")[min(2, int(3 * row))]
    horizontal = ("left", "", "right")[min(2, int(3 * column))]
    return " ".join(filter(None, (vertical, horizontal))) or "middle"

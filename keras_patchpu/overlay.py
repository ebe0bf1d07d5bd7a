"""A picture with the attention of one label drawn on it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

RED = (255, 0, 0)
# Of full attention; what lies below stays visible.
OPACITY = 0.6
LONGEST_LABEL = 60
# With the caption; a picture of one column and a million rows is not made as wide as its caption.
MOST_PIXELS = 100_000_000


def draw_overlay(
    picture: Image.Image, attention_map: np.ndarray, label: str, score: float
) -> Image.Image:
    """Draws a map in red over a picture, and `label: score` in a bar below it.

    The map covers the whole picture: with `resize="pad"`, or where patches leave over a part of the
    square, `localization.dense_maps` and `maps_in_picture` make such a map. Each of its cells is
    one flat rectangle of red: opacity 0 where the attention is 0 and 0.6 where it is 1. It is not
    scaled by its own maximum, so that maps can be compared, and attention that is spread over many
    patches looks as faint as it is.

    Args:
        picture: of any mode and size `W` by `H`. Opened by PIL, it is not turned by its EXIF
            data, and neither is it by the model.
        attention_map: `(h, w)` in 0..1.
        label: any text; its end is cut off if it is long. PIL's own font draws a box for a
            character that it lacks, which are nearly all beyond ASCII.
        score: in 0..1, shown in percent.

    Returns:
        RGB, `H` and the bar high, `W` wide, or wider if the caption needs it and `MOST_PIXELS`
        allow it.
    """
    if picture.mode == "I;16":  # PIL would make all of it white
        picture = picture.point(lambda value: value / 256, "L")
    picture = picture.convert("RGB")
    opacity = np.round(255 * OPACITY * np.asarray(attention_map)).astype("uint8")
    mask = Image.fromarray(opacity).resize(picture.size, Image.Resampling.NEAREST)
    picture.paste(RED, mask=mask)

    label = " ".join(label.encode("utf-8", "replace").decode().split())
    if len(label) > LONGEST_LABEL:
        label = label[: LONGEST_LABEL - 3] + "..."
    caption = f"{label}: {100 * score:.1f}%"
    size = max(14, min(picture.width // 25, picture.height // 8))
    font = ImageFont.load_default(size)
    height, width = picture.height + 2 * size, int(font.getlength(caption)) + size
    if width < picture.width or width * height > MOST_PIXELS:
        width = picture.width
    image = Image.new("RGB", (width, height), "white")
    image.paste(picture)
    middle = (size // 2, picture.height + size)
    ImageDraw.Draw(image).text(middle, caption, "black", font, anchor="lm")
    return image

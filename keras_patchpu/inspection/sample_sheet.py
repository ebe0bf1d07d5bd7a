"""A sheet of sample pictures with their labels and boxes."""

import colorsys
import os
import pathlib
import unicodedata

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from keras_patchpu.data.decode import decode
from keras_patchpu.data.examples import Examples
from keras_patchpu.data.loading import read_encoded
from keras_patchpu.data.silent_libraries import libraries_silent
from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import replaced_whole

COLUMNS = 6
SIDE = 208  # of a thumbnail, in pixels
GAP = 14
LINE = 19
LABEL_LINES = 2
HEADER = 40
PADDING = 4  # left and right of a label
REST = 36  # for the number of the labels that do not fit
GREY, PALE = (110, 110, 110), (232, 232, 232)


def draw_sample_sheet(
    examples: Examples,
    num_samples: int = 24,
    seed: int = 0,
    observed: np.ndarray | None = None,
) -> Image.Image:
    """Draws a grid of pictures, a part of a split that the seed decides.

    Below each are the end of its name and its positive labels, as many as fit; above all, the data
    set. A label and its boxes have one colour; boxes of difficult objects are thin. A picture that
    cannot be read is crossed out.

    Args:
        examples: N images; L labels.
        num_samples: pictures on the sheet; fewer where N is less.
        seed: of the choice.
        observed: `(N, L)`, 1 for an observed positive: such a label is written in white.

    Returns:
        RGB picture, six thumbnails wide.
    """
    rows = np.random.default_rng(seed).permutation(len(examples))[:num_samples]
    height = SIDE + (1 + LABEL_LINES) * LINE + GAP
    num_lines = -(-len(rows) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (SIDE + GAP) + GAP, HEADER + num_lines * height), "white")
    pen = ImageDraw.Draw(sheet)
    title = f"{examples.name} {examples.split}: {len(rows)} of {len(examples):,} images"
    if observed is not None:
        title += "; in white on colour: the label that training sees"
    pen.text((GAP, HEADER // 2), title, "black", ImageFont.load_default(17), anchor="lm")
    for place, row in enumerate(np.sort(rows).tolist()):
        line, column = divmod(place, COLUMNS)
        left, top = GAP + column * (SIDE + GAP), HEADER + line * height
        with libraries_silent():
            sheet.paste(_thumbnail(examples, row), (left, top))
        _write_caption(pen, left, top + SIDE, examples, row, observed)
    return sheet


def save_sheet(sheet: Image.Image, file: str | os.PathLike) -> None:
    """Writes a PNG file, whole or not at all; folders above it are made.

    Raises:
        InputError: it cannot be written.
    """
    file = pathlib.Path(file)
    advice = "give another place"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): {advice}") from error
    with replaced_whole(file, advice) as unfinished:
        sheet.save(unfinished, "png")


def _thumbnail(examples, row):
    cell = Image.new("RGB", (SIDE, SIDE), PALE)
    pen = ImageDraw.Draw(cell)
    try:
        pixels = decode(read_encoded(examples, row)).numpy()
    except (OSError, tf.errors.OpError):
        pen.line((0, 0, SIDE, SIDE), "red", 3)
        pen.line((0, SIDE, SIDE, 0), "red", 3)
        return cell
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    height, width = (max(1, round(side * scale)) for side in (height, width))
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    cell.paste(Image.fromarray(pixels).resize((width, height), reducing_gap=3.0), (left, top))
    if len(examples.boxes):
        for box, column, difficult in zip(
            examples.boxes[row], examples.box_labels[row], examples.box_difficult[row], strict=True
        ):
            ymin, xmin, ymax, xmax = box.tolist()
            corners = (
                left + xmin * (width - 1),
                top + ymin * (height - 1),
                left + xmax * (width - 1),
                top + ymax * (height - 1),
            )
            colour = _colour(column)
            pen.rectangle(corners, outline=colour, width=1 if difficult else 3)
    return cell


def _colour(column):
    """Dark enough to be read on white; neighbours in the list of labels are far apart."""
    hue = 0.618034 * column % 1  # steps of the golden ratio
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.85, 0.8))
    luminance = colour @ (0.299, 0.587, 0.114)
    return tuple(np.round(255 * colour * min(1, 0.42 / luminance)).astype(int).tolist())


def _write_caption(pen, left, top, examples, row, observed):
    small, font = ImageFont.load_default(12), ImageFont.load_default(14)
    name = _shorten(pen, examples.keys[row], small, SIDE, keep_end=True)
    pen.text((left, top + LINE // 2), name, GREY, small, anchor="lm")
    seen = np.zeros(len(examples.label_names)) if observed is None else observed[row]
    columns = np.flatnonzero(examples.labels[row] == 1).tolist()
    columns.sort(key=lambda column: seen[column] != 1)
    if not columns:
        pen.text((left, top + LINE * 3 // 2), "no label", GREY, font, anchor="lm")
    x, line = 0, 1
    for number, column in enumerate(columns):
        text = _shorten(pen, examples.label_names[column], font, SIDE - REST - 2 * PADDING)
        padding = PADDING if seen[column] == 1 else 0
        width = int(pen.textlength(text, font)) + 2 * padding
        rest = len(columns) - number
        room = REST if line == LABEL_LINES and rest > 1 else 0
        if x and x + width + room > SIDE:
            if line == LABEL_LINES:
                middle = top + LINE * line + LINE // 2
                pen.text((left + x, middle), f"+{rest}", GREY, font, "lm")
                break
            x, line = 0, line + 1
        middle, colour = top + LINE * line + LINE // 2, _colour(column)
        if padding:
            pen.rectangle((left + x, middle - 8, left + x + width - 1, middle + 8), colour)
            colour = "white"
        pen.text((left + x + padding, middle), text, colour, font, "lm")
        x += width + GAP // 2


def _shorten(pen, text, font, width, keep_end=False):
    """As much of a text as is not wider."""
    # PIL's own font has ASCII only: letters lose their accents, others become boxes.
    text = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode())
    text = " ".join("".join(c for c in text if not unicodedata.combining(c)).split())
    whole = text
    while pen.textlength(text, font) > width:
        whole = whole[1:] if keep_end else whole[:-1]
        text = f"...{whole}" if keep_end else f"{whole}..."
    return text

"""The sheet: which pictures are on it, where, with which boxes and labels."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import Examples
from keras_patchpu.errors import InputError
from keras_patchpu.inspection.sample_sheet import (
    COLUMNS,
    GAP,
    HEADER,
    SIDE,
    draw_sample_sheet,
    save_sheet,
)

NAMES = ("cat", "dog", "cow")


def encode(picture, form="png"):
    file = io.BytesIO()
    picture.save(file, form)
    return file.getvalue()


def examples_of(images, labels=None, label_names=NAMES, **more):
    labels = np.ones((len(images), len(label_names))) if labels is None else np.array(labels)
    keys = tuple(f"{row:04d}.png" for row in range(len(images)))
    return Examples("mine", "train", label_names, keys, images, labels, **more)


def cells(sheet):
    """The thumbnails and what is below each, as arrays."""
    pixels = np.asarray(sheet)
    assert pixels.shape[1] == COLUMNS * (SIDE + GAP) + GAP
    tops = range(HEADER, len(pixels), (len(pixels) - HEADER) // max(1, lines_of(sheet)))
    for top in tops:
        for left in range(GAP, pixels.shape[1] - SIDE, SIDE + GAP):
            column = pixels[:, left : left + SIDE]
            yield column[top : top + SIDE], column[top + SIDE : top + (tops.step)]


def lines_of(sheet):
    one = draw_sample_sheet(examples_of([b""])).height - HEADER
    assert (sheet.height - HEADER) % one == 0
    return (sheet.height - HEADER) // one


def colours_of(pixels):
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


def solid(number):
    return encode(Image.new("RGB", (8, 8), (number, 200, 255 - number)))


def test_as_many_as_asked_for_each_once_and_in_order():
    examples = examples_of([solid(number) for number in range(40)])
    for asked, there in ((24, 24), (7, 7), (99, 40)):
        sheet = draw_sample_sheet(examples, asked)
        assert lines_of(sheet) == -(-there // COLUMNS)
        numbers = [
            int(picture[0, 0, 0])
            for picture, _ in cells(sheet)
            if tuple(picture[0, 0]) != (255, 255, 255)
        ]
        assert len(numbers) == there and numbers == sorted(set(numbers))


def test_the_seed_decides():
    examples = examples_of([solid(number) for number in range(40)])
    first, again, other = (draw_sample_sheet(examples, 6, seed).tobytes() for seed in (5, 5, 6))
    assert first == again != other


@pytest.mark.parametrize("size", [(40, 10), (10, 40), (600, 300), (1, 1), (900, 1)], ids=str)
def test_the_shape_of_a_picture_is_kept(size):
    sheet = draw_sample_sheet(examples_of([encode(Image.new("RGB", size, "red"))]))
    picture, _ = next(cells(sheet))
    red = (picture == (255, 0, 0)).all(axis=-1)
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert red.sum() == height * width
    scale = SIDE / max(size)
    assert (width, height) == tuple(max(1, round(side * scale)) for side in size)
    # In the middle, to half a pixel.
    assert abs((rows[0] + rows[-1]) - (SIDE - 1)) <= 1
    assert abs((columns[0] + columns[-1]) - (SIDE - 1)) <= 1


def test_boxes_are_around_what_they_are_around():
    pixels = np.full((100, 200, 3), 255, "uint8")
    pixels[20:60, 120:180] = 0
    box = np.array([[0.2, 0.6, 0.6, 0.9]], "float32")
    columns, certain = [np.array([1])], [np.array([False])]
    sheets = {
        thick: draw_sample_sheet(
            examples_of(
                [encode(Image.fromarray(pixels))],
                boxes=[box],
                box_labels=columns,
                box_difficult=certain if thick else [~certain[0]],
            )
        )
        for thick in (True, False)
    }
    coloured = {}
    for thick, sheet in sheets.items():
        picture, _ = next(cells(sheet))
        coloured[thick] = np.ptp(picture.astype(int), axis=-1) > 60
        rows, columns = (np.flatnonzero(coloured[thick].any(axis)) for axis in (1, 0))
        scale, above = SIDE / 200, SIDE / 4
        expected = (above + 20 * scale, above + 60 * scale, 120 * scale, 180 * scale)
        np.testing.assert_allclose((rows[0], rows[-1], columns[0], columns[-1]), expected, atol=1.5)
    assert coloured[True].sum() > 2 * coloured[False].sum()


def test_a_picture_that_cannot_be_read_is_crossed_out(tmp_path):
    images = [str(tmp_path / "absent.png")]
    for examples in (examples_of([b"no picture"]), examples_of(images)):
        picture, caption = next(cells(draw_sample_sheet(examples)))
        assert all(tuple(picture[i, i]) == (255, 0, 0) for i in range(2, SIDE - 2))
        assert all(tuple(picture[i, -1 - i]) == (255, 0, 0) for i in range(2, SIDE - 2))
        assert caption.min() < 200


def test_a_label_has_the_colour_of_its_boxes():
    encoded = encode(Image.new("L", (50, 50)))
    more = {"box_labels": [np.array([2])], "box_difficult": [np.array([False])]}
    boxes = [np.array([[0.1, 0.1, 0.9, 0.9]])]
    picture, caption = next(
        cells(draw_sample_sheet(examples_of([encoded], [[0, -1, 1]], boxes=boxes, **more)))
    )
    (colour,) = colours_of(picture) - {(0, 0, 0)}
    assert colour in colours_of(caption)
    # Neither absent nor unknown labels are written.
    _, of_cat = next(cells(draw_sample_sheet(examples_of([encoded], [[1, -1, 0]]))))
    assert colour not in colours_of(of_cat)


def test_the_observed_label_is_filled():
    examples = examples_of([solid(0)])
    captions = [
        next(cells(draw_sample_sheet(examples, observed=observed)))[1]
        for observed in (None, np.array([[0, 0, 0]]), np.array([[0, 1, 0]]))
    ]
    assert (captions[0] == captions[1]).all()
    coloured = [(np.ptp(caption.astype(int), axis=-1) > 60).sum() for caption in captions]
    assert coloured[2] > coloured[0] + 200


@pytest.mark.parametrize(
    "names",
    [
        ("a" * 300, "b" * 300, "c" * 300),
        tuple(f"label {number}" for number in range(200)),
        ("chien d'été", "犬", "two\nlines\tand \udcff"),
        tuple(f"{'long ' * 6}{number}" for number in range(9)),
    ],
    ids=["very long", "many", "unicode", "wide"],
)
def test_no_caption_is_cut_off_or_drawn_over(names):
    examples = examples_of([solid(9)] * 2, label_names=names)
    examples = dataclasses.replace(examples, keys=(f"{'d/' * 200}é犬 1.png", "b\n\udcff.png"))
    for observed in (None, np.ones((2, len(names)))):
        sheet = draw_sample_sheet(examples, observed=observed)
        for _, caption in list(cells(sheet))[:2]:
            assert caption.min() < 200
            assert (caption[-1] == 255).all()
        pixels = np.asarray(sheet)[HEADER:]
        assert (pixels[:, GAP + SIDE + 1 : 2 * GAP + SIDE - 1] == 255).all()


def test_letters_lose_their_accents_which_the_font_lacks():
    accented, plain = (
        draw_sample_sheet(examples_of([solid(9)], label_names=names)).tobytes()
        for names in (("été", "Žluťoučký", "ﬁn"), ("ete", "Zlutoucky", "fin"))
    )
    assert accented == plain


def test_a_picture_without_a_positive_says_so():
    without, unknown, cat = (
        next(cells(draw_sample_sheet(examples_of([solid(9)], [labels]))))[1]
        for labels in ([0, 0, 0], [-1, -1, -1], [1, 0, 0])
    )
    assert (without == unknown).all() and (without != cat).any()
    assert without[20:].min() < 200


def test_an_empty_split():
    assert draw_sample_sheet(examples_of([])).height == HEADER


def test_a_sheet_is_written_whole_or_not_at_all(files_of_at_most, tmp_path):
    sheet = draw_sample_sheet(examples_of([solid(3)]))
    file = tmp_path / "new" / "sheet.png"
    save_sheet(sheet, file)
    with Image.open(file) as written:
        assert np.array_equal(np.asarray(written), np.asarray(sheet))
    before = file.read_bytes()
    with files_of_at_most(100), pytest.raises(InputError, match="sheet.png cannot be written"):
        save_sheet(Image.effect_noise((300, 300), 50), file)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]
    with pytest.raises(InputError, match="sheet.png"):
        save_sheet(sheet, file / "sheet.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="folder.png"):
        save_sheet(sheet, tmp_path / "folder.png")
    assert {path.name for path in tmp_path.iterdir()} == {"new", "folder.png"}

"""Pictures that claim more than they have bytes for: bounded on every way into memory."""

import io
import json
import os
import struct
import zlib

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from peak_memory import run_apart
from PIL import Image

from keras_patchpu import inspection
from keras_patchpu.data import PictureCache, load_images, read_folder
from keras_patchpu.data.decode import decode
from keras_patchpu.data.picture_files import MAX_BYTES, picture_files, read_picture
from keras_patchpu.data.picture_size import MAX_PIXELS, TOO_LARGE, is_too_large, num_pixels
from keras_patchpu.errors import InputError
from keras_patchpu.serving.pictures import NO_PICTURE, decode_pictures


def encode(kind, size=(40, 30), mode="RGB", **options):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def png(side, rows=None):
    """A black PNG of one bit a pixel, of which `rows` are there; its sums are right."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side if rows is None else rows))
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data + packer.flush()), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def gif(side, frames, screen=1):
    """An animation of black frames on a canvas that says it is smaller."""
    file = io.BytesIO()
    Image.new("P", (side, side)).save(file, "gif")
    content = file.getvalue()
    start = content.index(b"\x2c" + bytes(4) + struct.pack("<HH", side, side))
    head = content[:6] + struct.pack("<HH", screen, screen) + content[10:start]
    return head + frames * content[start:-1] + b";"


def jpeg(side):
    content = encode("jpeg")
    start = content.index(b"\xff\xc0")
    return content[: start + 5] + struct.pack(">HH", side, side) + content[start + 9 :]


def bmp(side, top_down=False):
    content = encode("bmp")
    sides = struct.pack("<ii", side, -side if top_down else side)
    return content[:18] + sides + content[26:]


BOMBS = {
    "PNG": png(50_000, rows=10),
    "JPEG": jpeg(65_500),
    "GIF": gif(9000, 1),
    "GIF of many frames": gif(3000, 6),
    "BMP": bmp(30_000),
    "BMP from the top": bmp(30_000, top_down=True),
}
# TensorFlow decodes these too, and they may be as large.
OTHERS = {"WebP": encode("webp"), "JPEG XL": b"\xff\x0a" + bytes(40), "TIFF": encode("tiff")}


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp"])
@pytest.mark.parametrize("size", [(1, 1), (300, 7), (64, 256)], ids=str)
def test_claims_of_honest_pictures(kind, size):
    assert float(num_pixels(encode(kind, size))) == size[0] * size[1]


@hypothesis.given(
    sizes=strategies.lists(strategies.tuples(*2 * [strategies.integers(1, 40)]), min_size=1),
    comment=strategies.binary(max_size=600),
    transparent=strategies.booleans(),
)
@hypothesis.settings(max_examples=40)
def test_all_frames_of_a_gif_count(sizes, comment, transparent):
    """Each with a table of colours of its own, as the whole has one, and other blocks between."""
    content = b"GIF89a" + struct.pack("<HHBBB", 3, 3, 0x81, 0, 0) + bytes(12)
    for width, height in sizes:
        for start in range(0, len(comment), 255):
            part = comment[start : start + 255]
            content += b"\x21\xfe" + bytes([len(part)]) + part + b"\x00"
        if transparent:
            content += b"\x21\xf9\x04" + bytes(4) + b"\x00"
        file = io.BytesIO()
        pixels = np.random.default_rng(width).integers(0, 256, (height, width), dtype="uint8")
        Image.fromarray(pixels).save(file, "gif")
        frame = file.getvalue()
        # The table goes from the head of the file into that of the frame.
        table, place = 3 * 2 ** (frame[10] % 8 + 1), 13 + 3 * 2 ** (frame[10] % 8 + 1)
        place = frame.index(b"\x2c" + bytes(4) + struct.pack("<HH", width, height), place)
        head = frame[place : place + 9] + bytes([0x80 | frame[10] % 8])
        content += head + frame[13 : 13 + table] + frame[place + 10 : -1]
    content += b";"
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.n_frames == len(sizes)
    assert float(num_pixels(content)) == sum(width * height for width, height in sizes)


@hypothesis.given(strategies.binary(max_size=400))
def test_any_blocks_of_a_gif(content):
    assert float(num_pixels(b"GIF89a" + content)) >= 0


def test_a_gif_of_too_many_parts_is_not_walked_along():
    content = gif(8, 1)[:-1] + b"\x21\xfe" + 300_000 * b"\x01a" + b"\x00;"
    assert is_too_large(content)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_not_decoded(name):
    assert len(BOMBS[name]) < 100_000 and float(num_pixels(BOMBS[name])) > MAX_PIXELS
    assert is_too_large(BOMBS[name])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(BOMBS[name])
    # Nor where it is served.
    spec = tf.TensorSpec((None,), tf.string)
    served = tf.function(lambda pictures: decode_pictures(pictures, 32, "stretch"), [spec])
    _, status = served([BOMBS[name], encode("png")])
    assert status.numpy().tolist() == [TOO_LARGE.encode(), b"ok"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_kinds_are_not_decoded(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(OTHERS[name])
    assert not is_too_large(OTHERS[name])
    _, status = decode_pictures(tf.constant([OTHERS[name]]), 32, "stretch")
    assert status.numpy().tolist() == [NO_PICTURE.encode()]


@pytest.fixture
def folder(tmp_path):
    """Pictures of one's own, of which the first is a bomb."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(BOMBS["PNG"])
    (folder / "b.png").write_bytes(encode("png"))
    (tmp_path / "labels.csv").write_text("file,label\na.png,cat\nb.png,dog\n")
    return read_folder(folder, tmp_path / "labels.csv", "train")


@pytest.mark.parametrize("cached", [False, True])
def test_training_names_it(folder, tmp_path, cached):
    with pytest.raises(InputError, match=f"a.png is not a picture .*{TOO_LARGE}.*remove it"):
        if cached:
            PictureCache(tmp_path / "cache").get(folder, 32, progress=False)
        else:
            load_images(folder, 32, progress=False)


def test_inspection_names_it(folder):
    report = inspection.inspect_splits([folder], progress=False)
    (broken,) = report["splits"][0]["broken_pictures"]
    assert broken["file"].endswith("a.png") and broken["reason"] == TOO_LARGE
    sheet = np.asarray(inspection.draw_sample_sheet(folder))
    assert (sheet == (255, 0, 0)).all(axis=-1).any()  # crossed out


def test_files_without_end(tmp_path):
    with pytest.raises(OSError, match="more than 268,435,456 bytes"):
        read_picture("/dev/zero")
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(OSError, match="more than 268,435,456 bytes"):
        read_picture(tmp_path / "a.png")


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    assert list(picture_files(tmp_path)) == [str(tmp_path / "b.png")]


MEASURE = """
import json, sys
import tensorflow as tf
from keras_patchpu import data, inspection
from keras_patchpu.data import PictureCache, load_images, read_folder
from keras_patchpu.errors import InputError
from keras_patchpu.serving.pictures import decode_pictures
from peak_memory import peak_memory

folder, labels, cache = sys.argv[1:]
whole = read_folder(folder, labels, "train")
small = whole.select([len(whole) - 1])
bombs = whole.select(range(len(whole) - 1))

def all_ways(examples):
    for read in (load_images, PictureCache(cache).get):
        try:
            read(examples, 32, progress=False)
        except InputError as error:
            print(error, file=sys.stderr)
    inspection.inspect_splits([examples], progress=False)
    inspection.draw_sample_sheet(examples)
    contents = tf.constant([data.read_encoded(examples, row) for row in range(len(examples))])
    return [text.decode() for text in decode_pictures(contents, 32, "stretch")[1].numpy()]

before = (all_ways(small), peak_memory())[1]
print(json.dumps([all_ways(bombs), peak_memory() - before]))
"""


@pytest.mark.slow
def test_the_memory_of_whole_bombs(tmp_path):
    """Pictures that are all there: decoded they would take 1 GB each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(20_000))
    (folder / "b.gif").write_bytes(gif(7000, 20))
    (folder / "c.gif").write_bytes(gif(20_000, 1))
    (folder / "d.png").write_bytes(encode("png"))
    rows = "".join(f"{file.name},cat\n" for file in sorted(folder.iterdir()))
    (tmp_path / "labels.csv").write_text(f"file,label\n{rows}")
    process = run_apart(MEASURE, folder, tmp_path / "labels.csv", tmp_path / "cache")
    status, kilobytes = json.loads(process.stdout)
    assert status == 3 * [TOO_LARGE]
    assert (
        process.stderr.count(f"(and 2 more) is not a picture that can be read ({TOO_LARGE})") == 2
    )
    assert kilobytes < 200_000

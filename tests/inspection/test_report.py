"""Counts, sizes, broken pictures and duplicates, against hand-made data and other ways to count."""

import collections
import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_patchpu.data import Examples, decode_and_resize, load_images
from keras_patchpu.errors import InputError
from keras_patchpu.inspection.picture_facts import read_facts
from keras_patchpu.inspection.report import find_duplicates, inspect_labels, inspect_splits
from keras_patchpu.inspection.report_text import inspection_as_text


def examples_of(folder, names, split="train", labels=None, **more):
    """Examples of these files, of the labels cat, dog and cow."""
    labels = np.tile((1, 0, 0), (len(names), 1)) if labels is None else labels
    return Examples(
        name="mine",
        split=split,
        label_names=("cat", "dog", "cow"),
        keys=tuple(names),
        images=[str(folder / name) for name in names],
        labels=np.asarray(labels, "float32").reshape(len(names), 3),
        **more,
    )


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype("uint8"))


GOOD = {
    "grey.jpg": ("JPEG L", (5, 7)),
    "cmyk.jpg": ("JPEG CMYK", (9, 4)),
    "deep.png": ("PNG I;16", (6, 6)),
    "dot.png": ("PNG RGB", (1, 1)),
    "clear.png": ("PNG RGBA", (8, 3)),
    "palette.gif": ("GIF P", (4, 8)),
    "colour.bmp": ("BMP RGB", (12, 2)),
    "wide.jpg": ("JPEG RGB", (90, 3)),
    "a word and an ü.png": ("PNG RGB", (3, 2)),
}
BROKEN = {
    "cut.jpg": "JPEG, cut off or damaged",
    "cut.png": "PNG, cut off or damaged",
    "headless.jpg": "not a picture, or without its beginning",
    "empty.jpg": "an empty file",
    "diary.png": "not a picture, or without its beginning",
    "other.tif": "TIFF: save it as JPEG or PNG",
    "absent.jpg": "No such file or directory",
    "folder.jpg": "Is a directory",
}


@pytest.fixture
def pictures(tmp_path):
    """A folder with the files of `GOOD` and of `BROKEN`."""
    for seed, (name, (kind, size)) in enumerate(GOOD.items()):
        form, mode = kind.split()
        picture = noise(*size, seed)
        if mode == "I;16":
            picture = Image.fromarray(np.arange(36, dtype="uint16").reshape(6, 6) * 1800)
        picture = picture if picture.mode == mode else picture.convert(mode)
        picture.save(tmp_path / name, form)
    noise(40, 30).save(tmp_path / "cut.jpg")
    noise(40, 30).save(tmp_path / "cut.png")
    for name in ("cut.jpg", "cut.png"):
        os.truncate(tmp_path / name, (tmp_path / name).stat().st_size * 2 // 3)
    (tmp_path / "headless.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[100:])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "diary.png").write_text("Dear diary")
    noise(8, 8).save(tmp_path / "other.tif")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def test_kinds_and_sizes(pictures):
    part = inspect_splits([examples_of(pictures, list(GOOD))])["splits"][0]
    assert part["kinds"] == collections.Counter(kind for kind, _ in GOOD.values())
    widths, heights = zip(*(size for _, size in GOOD.values()), strict=True)
    sizes = [(pictures / name).stat().st_size for name in GOOD]
    for measured, numbers in (("widths", widths), ("heights", heights), ("file_bytes", sizes)):
        middle = sorted(numbers)[len(numbers) // 2]
        assert part[measured] == {"min": min(numbers), "median": middle, "max": max(numbers)}
    assert part["total_bytes"] == sum(sizes)
    assert part["broken_pictures"] == []


def test_every_broken_picture_is_named_and_why(pictures):
    names = [*BROKEN, *GOOD]
    report = inspect_splits([examples_of(pictures, names)])
    part = report["splits"][0]
    found = {item["file"]: item["reason"] for item in part["broken_pictures"]}
    assert found == {str(pictures / name): reason for name, reason in BROKEN.items()}
    assert report["problems"] == {"bad_rows": 0, "broken_pictures": len(BROKEN), "leaks": 0}
    assert sum(part["kinds"].values()) == len(GOOD)
    text = inspection_as_text(report)
    assert all(f"  {pictures / name}: {reason}\n" in text for name, reason in BROKEN.items())
    assert text.endswith("Found 8 broken pictures.")


def test_broken_is_what_training_finds_broken(pictures):
    for name in [*BROKEN, *GOOD]:
        one = examples_of(pictures, [name])
        try:
            load_images(one, 4)
            readable = True
        except InputError:
            readable = False
        assert (read_facts(one)[0].broken is None) == readable == (name in GOOD), name


@pytest.mark.parametrize("name", ["wide.jpg", "colour.bmp", "palette.gif", "clear.png"])
def test_broken_is_what_training_finds_broken_wherever_it_is_cut(pictures, name):
    whole = (pictures / name).read_bytes()
    lengths = range(0, len(whole) + 1, 7)
    cut = [whole[:length] for length in lengths]
    examples = dataclasses.replace(examples_of(pictures, list(map(str, lengths))), images=cut)
    for encoded, facts in zip(cut, read_facts(examples), strict=True):
        try:
            decode_and_resize(encoded, 4)
        except tf.errors.InvalidArgumentError:
            assert facts.broken
        else:
            assert not facts.broken


def test_pictures_in_memory_are_named_by_their_keys():
    examples = Examples("mine", "test", ("cat",), ("a", "b"), [b"x", b""], np.ones((2, 1)))
    broken = inspect_splits([examples])["splits"][0]["broken_pictures"]
    assert [item["file"] for item in broken] == ["a", "b"]


def test_size_is_no_fault(pictures, monkeypatch):
    # Beyond twice as many pixels PIL refuses, beyond it once it warns.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    facts = read_facts(examples_of(pictures, ["dot.png", "a word and an ü.png", "colour.bmp"]))
    assert [fact.broken for fact in facts] == [None] * 3
    assert [fact.kind for fact in facts] == ["PNG RGB", "PNG RGB", "unknown"]
    assert (facts[2].width, facts[2].height) == (12, 2)


def test_memory_does_not_grow_with_the_number_of_pictures(pictures):
    content = (pictures / "dot.png").read_bytes()

    class Picture(bytes):
        alive = most = 0

        def __new__(cls, content):
            cls.alive += 1
            cls.most = max(cls.most, cls.alive)
            return super().__new__(cls, content)

        def __del__(self):
            Picture.alive -= 1

    class Pictures(collections.abc.Sequence):
        def __len__(self):
            return 600

        def __getitem__(self, row):
            return Picture(content)

    keys = tuple(map(str, range(600)))
    examples = Examples("mine", "train", ("cat",), keys, Pictures(), np.ones((600, 1)))
    assert len(read_facts(examples)) == 600
    assert Picture.alive == 0
    assert Picture.most <= 2 * os.cpu_count() + 2


def test_no_progress_bar_away_from_a_terminal(pictures, capsys):
    read_facts(examples_of(pictures, list(GOOD)))
    assert capsys.readouterr() == ("", "")


def test_what_a_draw_keeps_of_an_unknown_truth_is_unknown(pictures):
    examples = examples_of(pictures, ["dot.png"], truth_known=False)
    assert inspect_labels(examples)["kept_by_single_positive"] is None


def test_the_official_number_is_given_where_there_is_one(pictures):
    one = examples_of(pictures, ["dot.png"])
    parts = inspect_splits([one, examples_of(pictures, [], split="test")])["splits"]
    assert [part["official_images"] for part in parts] == [None, None]
    report = inspect_splits([dataclasses.replace(one, name="COCO2014")])
    assert report["splits"][0]["official_images"] == 82_081
    lines = inspection_as_text(report).splitlines()
    assert lines[2].split() == "images of the official split 82,081".split()


@pytest.fixture
def copies(tmp_path):
    """Files of which some are the same, and some only look the same."""
    for seed, name in enumerate(("one.png", "two.png", "three.png", "four.png")):
        noise(6, 4, seed).save(tmp_path / name)
    (tmp_path / "one again.png").write_bytes((tmp_path / "one.png").read_bytes())
    (tmp_path / "two again.png").write_bytes((tmp_path / "two.png").read_bytes())
    noise(6, 4, 2).save(tmp_path / "three.bmp")
    # The same bytes of pixels in another shape are another picture.
    Image.frombytes("RGB", (4, 6), noise(6, 4, 3).tobytes()).save(tmp_path / "four turned.png")
    for name in ("empty.jpg", "empty too.jpg"):
        (tmp_path / name).touch()
    return tmp_path


TRAIN = ["one.png", "one again.png", "two.png", "three.bmp", "four.png", "empty.jpg"]
TEST = ["two again.png", "three.png", "four turned.png", "empty too.jpg"]


def test_duplicates_within_and_across_splits(copies):
    splits = [examples_of(copies, TRAIN), examples_of(copies, TEST, "test")]
    report = inspect_splits(splits)
    found = {
        (group["same"], group["leak"], *((i["split"], i["key"]) for i in group["images"]))
        for group in report["duplicates"]
    }
    assert found == {
        ("bytes", False, ("train", "one.png"), ("train", "one again.png")),
        ("bytes", True, ("train", "two.png"), ("test", "two again.png")),
        ("pixels", True, ("train", "three.bmp"), ("test", "three.png")),
    }
    assert report["problems"] == {"bad_rows": 0, "broken_pictures": 2, "leaks": 2}
    text = inspection_as_text(report)
    leaks, others = text[text.index("LEAKS") :].split("duplicates within a split")
    assert "  same bytes: train two.png = test two again.png\n" in leaks
    assert "  same pixels: train three.bmp = test three.png\n" in leaks
    assert "  same bytes: train one.png = train one again.png\n" in others
    assert text.endswith("Found 2 broken pictures, 2 leaks.")


def test_the_same_file_in_both_splits(copies):
    splits = [examples_of(copies, TRAIN), examples_of(copies, TRAIN[2:3], "test")]
    (group,) = (g for g in inspect_splits(splits)["duplicates"] if g["leak"])
    assert [image["key"] for image in group["images"]] == ["two.png", "two.png"]


def test_duplicates_without_a_leak_are_no_problem(copies):
    split = examples_of(copies, TRAIN[:3])
    report = inspect_splits([split])
    assert len(report["duplicates"]) == 1 and not any(report["problems"].values())
    assert inspection_as_text(report).endswith("Nothing wrong was found.")
    assert find_duplicates([split], [read_facts(split)]) == report["duplicates"]


def test_the_report_is_json_and_tells_bad_rows(pictures):
    splits = [
        examples_of(pictures, list(GOOD), truth_known=False),
        examples_of(pictures, [], "test"),
    ]
    bad_rows = [("labels.csv, line 3: no such file", "labels.csv, line 9: no label"), ()]
    report = inspect_splits(splits, bad_rows)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["problems"]["bad_rows"] == 2
    assert report["splits"][0]["bad_rows"] == list(bad_rows[0])
    assert report["splits"][1]["widths"] is None
    text = inspection_as_text(report)
    for line in bad_rows[0]:
        assert f"  {line}\n" in text
    assert text.endswith("Found 2 bad rows.")


def test_no_images_at_all(pictures):
    report = inspect_splits([examples_of(pictures, [])], [["labels.csv, line 2: no label"]])
    json.dumps(report, allow_nan=False)
    assert "labels.csv, line 2: no label" in inspection_as_text(report)


def test_tables_are_aligned_and_within_100_columns(pictures):
    long = "a label with a name that goes on and on for no good reason"
    labels = np.where(np.arange(len(GOOD) * 3).reshape(-1, 3) % 3 < 2, 1, -1)
    train = examples_of(pictures, list(GOOD), labels=labels, truth_known=False)
    train = dataclasses.replace(train, label_names=(long, long + "!", "\x1b[31mred\nlabel"))
    splits = [train, dataclasses.replace(train, split="test")]
    text = inspection_as_text(inspect_splits(splits))
    tables = text[: text.index("LEAKS")].strip().split("\n\n")
    assert len(tables) == 4
    for table in tables:
        lines = table.split("\n")
        assert max(map(len, lines)) <= 100
        assert len(set(map(len, lines))) == 1
    assert "\x1b" not in text and r"\x1b[31mred\nlabel" in text

"""Lists, annotations and tables that mean harm: no way out of the folder, and no way to crash."""

import json
import ntpath
import os
import posixpath
import re
import time

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from peak_memory import forget_peak, peak_memory
from PIL import Image

from keras_patchpu.data import Examples, read_coco, read_folder, read_observed, scan_folder
from keras_patchpu.data.csv_rows import read_csv_rows
from keras_patchpu.data.on_disk import is_inside_name, read_json
from keras_patchpu.data.voc_annotation import is_plain_name, read_annotation, read_text
from keras_patchpu.data.written_names import check_label_names, wrong_file_name
from keras_patchpu.errors import InputError

ESCAPES = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../etc/passwd",
    "..\\..\\secret.png",
    "C:\\secret.png",
    "C:secret.png",
    "\\\\server\\share\\a.png",
    "file:///etc/passwd",
    "a.png\0.jpg",
    "./../a.png",
    "..",
    ".",
    "",
    "//etc/passwd",
    "~/../a\n.png",
]


def one_line(read, *arguments, **options):
    with pytest.raises(InputError) as error:
        read(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@hypothesis.given(strategies.text("./\\:a~ \0\n\x1b", max_size=12) | strategies.text(max_size=12))
@hypothesis.example("a/..")
@hypothesis.example("::/:")  # a drive to Python
@hypothesis.settings(max_examples=500)
def test_no_name_leads_out(name):
    """By the rules of both systems, whatever ours are."""
    plain, inside = is_plain_name(name), is_inside_name(name)
    for accepted in (plain, inside, wrong_file_name(name) is None):
        if accepted:
            assert posixpath.normpath(posixpath.join("/data", name)).startswith("/data/")
            assert not ntpath.isabs(name) and not re.match("[A-Za-z]:", name)
            assert ".." not in name.replace("\\", "/").split("/")
            assert "\0" not in name
    assert not plain or ("/" not in name and inside)


@pytest.mark.parametrize("name", ESCAPES)
def test_every_way_out_is_refused(name):
    assert not is_plain_name(name) and not is_inside_name(name)
    assert wrong_file_name(name) is not None or name == "file:///etc/passwd"


@pytest.fixture
def pets(tmp_path):
    """A folder with a picture, and beside it one that nobody should see."""
    (tmp_path / "pets").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "pets" / "a.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "secret.png")
    return tmp_path / "pets"


@pytest.mark.parametrize(
    "form", ["file,label\n{name},cat\na.png,cat\n", "file,cat\n{name},1\na.png,1\n"]
)
@pytest.mark.parametrize("name", [*ESCAPES, "../secret.png"])
def test_rows_that_lead_out_of_the_folder(pets, form, name):
    labels = pets.parent / "labels.csv"
    absolute = str(pets.parent / "secret.png")
    for written in (name, absolute):
        labels.write_text(form.format(name=written.replace("\n", "")), encoding="utf-8")
        examples, problems = scan_folder(pets, labels, "train")
        assert examples.images == [str(pets / "a.png")]
        assert len(problems) == 1 and problems[0].startswith(f"{labels}, line 2: ")
        assert f"{labels}, line 2: " in one_line(read_folder, pets, labels, "train")


def test_a_draw_that_leads_out_of_the_folder(tmp_path):
    file = tmp_path / "draw.csv"
    examples = Examples(
        "Pets", "train", ("cat",), ("a.png",), ["a.png"], np.ones((1, 1), "float32")
    )
    for name in ("../../etc/passwd", "/etc/passwd", "..\\a.png"):
        file.write_text(f"file,label\na.png,cat\n{name},cat\n")
        assert f"{file}, line 3: Pets train has no image" in one_line(read_observed, file, examples)


def annotation(tmp_path, text):
    file = tmp_path / "a.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


HONEST = (
    "<annotation><filename>a.jpg</filename><size><width>8</width><height>8</height></size>"
    "{more}</annotation>"
)
LAUGHS = "".join(
    f'<!ENTITY l{number} "{10 * f"&l{number - 1};"}">' if number else '<!ENTITY l0 "ha">'
    for number in range(10)
)
BAD_XML = {
    "billion laughs": f"<!DOCTYPE a [{LAUGHS}]>" + HONEST.format(more="<object>&l9;</object>"),
    "an entity from a file": (
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        + HONEST.format(more="<object><name>&x;</name></object>")
    ),
    "an entity from the network": (
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x">%x;]>' + HONEST.format(more="")
    ),
    "a DTD from elsewhere": '<!DOCTYPE a SYSTEM "/etc/passwd">' + HONEST.format(more=""),
    "a DTD in UTF-16": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a/>'.encode("utf-16"),
    "a DTD in UTF-7": '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
    "an entity without a DTD": HONEST.format(more="<object><name>&x;</name></object>"),
    "a file of another kind": b"\x89PNG\r\n\x1a\n",
    "a NUL byte": HONEST.format(more="\0"),
    "a name that leads out": HONEST.format(more="").replace("a.jpg", "../../etc/passwd"),
    "a number of many digits": HONEST.format(more="").replace(">8<", f">{'9' * 5000}<"),
    "elements in elements": 200_000 * "<a>",
}


@pytest.mark.parametrize("case", BAD_XML)
def test_annotations_that_mean_harm(tmp_path, case):
    file = annotation(tmp_path, BAD_XML[case])
    started = time.monotonic()
    message = one_line(read_annotation, file, "a.jpg")
    assert message.startswith(f"{file}: ") and len(message) < 6000
    assert time.monotonic() - started < 20


def test_elements_in_elements_that_end(tmp_path):
    deep = 200_000 * "<a>" + 200_000 * "</a>"
    image, _ = read_annotation(annotation(tmp_path, HONEST.format(more=deep)), "a.jpg")
    assert image == "a.jpg"


def test_an_annotation_of_gigabytes(tmp_path):
    file = annotation(tmp_path, "")
    os.truncate(file, 2**34)  # it takes nothing on the disk
    before = forget_peak()
    assert "more than 16,777,216 bytes" in one_line(read_annotation, file, "a.jpg")
    assert "more than 1,073,741,824 bytes" in one_line(read_text, file)
    assert peak_memory() - before < 100_000  # kB


BAD_JSON = {
    "lists in lists": 100_000 * "[",
    "lists that end": 100_000 * "[" + 100_000 * "]",
    "objects in objects": 100_000 * '{"a":' + "1" + 100_000 * "}",
    "a number of many digits": '{"a": ' + 5000 * "9" + "}",
    "cut off": '{"a": [1, 2',
    "not UTF-8": b"\xff\xfe{",
    "nothing": "",
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_json_that_means_harm(tmp_path, case):
    content = BAD_JSON[case]
    file = tmp_path / "a.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert str(file) in one_line(read_json, file, "no such file")


@pytest.fixture
def coco(tmp_path):
    """The content of a COCO of one picture, to be spoiled, and where it goes."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train2014").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "train2014" / "a.jpg")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "secret.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 8, "width": 8}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "cat"}],
    }

    def write(part, **fields):
        content[part][0].update(fields)
        file = tmp_path / "annotations" / "instances_train2014.json"
        file.write_text(json.dumps(content))
        return tmp_path

    return write


def test_the_coco_is_good_before_it_is_spoiled(coco):
    assert read_coco(coco("images", height="8"), "train").boxes[0].tolist() == [[0, 0, 0.5, 0.5]]


SPOILED = {
    **{f"{name!r} as a file": ("images", {"file_name": name}) for name in ESCAPES},
    "the secret": ("images", {"file_name": "../secret.jpg"}),
    "a file of no name": ("images", {"file_name": None}),
    "a height that is not a number": ("images", {"height": float("nan")}),
    "a height beyond all": ("images", {"height": 10**400}),
    "a height in words": ("images", {"height": "high"}),
    "an id that is a list": ("images", {"id": [1]}),
    "a box beyond all": ("annotations", {"bbox": [0, 0, 10**400, 4]}),
    "a box that is not a number": ("annotations", {"bbox": [0, 0, float("inf"), 4]}),
    "a box in a box": ("annotations", {"bbox": [[0], [0], [4], [4]]}),
    "a category that is an object": ("annotations", {"category_id": {}}),
    "a label that a terminal obeys": ("categories", {"name": "\x1b]0;evil\x07"}),
    "a label of two lines": ("categories", {"name": "cat\ndog"}),
    "a label of no name": ("categories", {"name": ""}),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_coco_that_means_harm(coco, case):
    part, fields = SPOILED[case]
    assert "train2014" in one_line(read_coco, coco(part, **fields), "train")


@pytest.mark.parametrize("name", ["", "a\x1b[2J", "a\nb", "a\0", 3, None, ["cat"]], ids=repr)
def test_names_that_are_no_labels(name):
    assert "names.txt: " in one_line(check_label_names, "names.txt", ["cat", name])
    check_label_names("names.txt", ["cat", "<b>", "=1+1", "گربه‌ها", "👩‍🔬"])


def test_a_line_without_end(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("file,label\n")
    os.truncate(file, 2**33)
    before = forget_peak()
    assert "a line of more than 16 MB" in one_line(list, read_csv_rows(file))
    assert peak_memory() - before < 100_000  # kB


def test_messages_do_not_move_the_cursor():
    """A file may be called anything, and most messages name one."""
    error = InputError("\x1b[2J\x1b]0;evil\x07\x9b1m\u202egpj.exe\r\udcff é 牛 می‌خواهم: correct it")
    assert str(error) == (
        "\\x1b[2J\\x1b]0;evil\\x07\\x9b1m\\u202egpj.exe\\r\\udcff é 牛 می‌خواهم: correct it"
    )
    str(error).encode()

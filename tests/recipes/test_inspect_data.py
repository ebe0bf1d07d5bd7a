"""`inspect_data.py`: what it prints and writes, its exit codes, and no traceback ever."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def inspect_data(import_script):
    """The module `recipes/inspect_data.py`."""
    return import_script("recipes", "inspect_data")


@pytest.fixture
def inspect(inspect_data, capsys):
    """Runs the recipe: gives its exit code, what it printed, and its errors."""

    def run(*arguments):
        code = inspect_data.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def varied_voc(make_voc, tmp_path):
    """A VOC of which no two pictures are the same."""
    devkit = make_voc(tmp_path / "data", num_train=6, num_val=4)
    for number, file in enumerate(sorted((devkit / "VOC2012" / "JPEGImages").iterdir())):
        Image.new("RGB", (64, 48), (20 * number, 90, 0)).save(file)
    return devkit


def picture(devkit, number):
    return devkit / "VOC2012" / "JPEGImages" / f"2008_{number:06d}.jpg"


@pytest.fixture
def folder(tmp_path):
    """`(pictures, labels.csv, test.csv)`: five pictures for training and two to test."""
    pictures = tmp_path / "photos"
    (pictures / "été 1").mkdir(parents=True)
    names = [f"été 1/{number}.png" for number in range(5)] + ["x.png", "y.png"]
    for number, name in enumerate(names):
        Image.new("RGB", (10 + number, 8), (9, 9 * number, 0)).save(pictures / name)
    rows = [f"{name},{('cat', 'dog')[number % 2]}" for number, name in enumerate(names[:5])]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    (tmp_path / "test.csv").write_text("file,label\nx.png,cat\nx.png,dog\ny.png,cat\n")
    return pictures, tmp_path / "labels.csv", tmp_path / "test.csv"


def own(folder, test=True):
    pictures, labels, test_labels = folder
    more = ["--test-labels", test_labels] if test else []
    return ["--images", pictures, "--labels", labels, *more]


def test_nothing_wrong(inspect, varied_voc):
    code, printed, errors = inspect("--data", varied_voc)
    assert (code, errors) == (0, "")
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0] == ["VOC2012", "train", "val"]
    for line in (
        "images 6 4",
        "images of the official split 5,717 5,823",
        "is the truth known? yes yes",
        "images without a positive label 0 0",
        # One label in pictures of even numbers, two in the others.
        "positive labels an image, mean 1.50 1.50",
        "positives kept by one an image 66.7 % 66.7 %",
        "width in pixels: min, median, max 64, 64, 64 64, 64, 64",
        "pictures of JPEG RGB 6 4",
        "1 3 50.0 2 50.0",
        "2 3 50.0 2 50.0",
        "aeroplane 0 0.0 0 0.0",
        "cat 3 50.0 2 50.0",
        "cat + dog 1 16.7 1 25.0",
    ):
        assert line.split() in lines, line
    assert max(map(len, printed.splitlines())) <= 100
    assert printed.endswith("\nNothing wrong was found.\n")


def test_faults_and_leaks(inspect, varied_voc):
    picture(varied_voc, 1).write_bytes(b"")
    content = picture(varied_voc, 8).read_bytes()
    picture(varied_voc, 8).write_bytes(content[: len(content) * 2 // 3])
    shutil.copy(picture(varied_voc, 2), picture(varied_voc, 7))
    code, printed, errors = inspect("--data", varied_voc)
    assert (code, errors) == (1, "")
    assert f"BROKEN PICTURES of train\n  {picture(varied_voc, 1)}: an empty file\n" in printed
    assert f"BROKEN PICTURES of val\n  {picture(varied_voc, 8)}: JPEG, cut off" in printed
    assert "  same bytes: train 2008_000002.jpg = val 2008_000007.jpg\n" in printed
    assert printed.endswith("\nFound 2 broken pictures, 1 leak.\n")


def test_duplicates_within_a_split_are_a_notice(inspect, varied_voc):
    shutil.copy(picture(varied_voc, 2), picture(varied_voc, 3))
    code, printed, _ = inspect("--data", varied_voc)
    assert code == 0
    assert "  same bytes: train 2008_000002.jpg = train 2008_000003.jpg\n" in printed


def test_json_has_all_and_nothing_else(inspect, varied_voc):
    shutil.copy(picture(varied_voc, 2), picture(varied_voc, 7))
    code, printed, errors = inspect("--data", varied_voc, "--json")
    assert (code, errors) == (1, "")
    report = json.loads(printed)
    assert [(part["split"], part["images"]) for part in report["splits"]] == [
        ("train", 6),
        ("val", 4),
    ]
    assert np.shape(report["splits"][0]["cooccurrence"]) == (20, 20)
    assert report["problems"] == {"bad_rows": 0, "broken_pictures": 0, "leaks": 1}


def test_a_folder_of_ones_own(inspect, folder):
    code, printed, errors = inspect(*own(folder))
    assert (code, errors) == (0, "")
    lines = [line.split() for line in printed.splitlines()]
    assert lines[0] == ["photos", "train", "test"]
    for line in (
        "images 5 2",
        "is the truth known? no yes",
        "positives kept by one an image - 66.7 %",
        "images with the label train % without unknown test %",
        "cat 3 60.0 0 2 2 100.0",
        "dog 2 40.0 0 3 1 50.0",
    ):
        assert line.split() in lines, line
    assert "official" not in printed


def test_without_test_labels(inspect, folder):
    code, printed, _ = inspect(*own(folder, test=False), "--json")
    assert code == 0
    (part,) = json.loads(printed)["splits"]
    assert part["split"] == "train" and not part["truth_known"]


def test_the_test_pictures_may_be_elsewhere(inspect, folder, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("x.png", "y.png"):
        (folder[0] / name).rename(tmp_path / "other" / name)
    code, printed, _ = inspect(*own(folder), "--test-images", tmp_path / "other", "--json")
    assert code == 0
    assert [part["images"] for part in json.loads(printed)["splits"]] == [5, 2]


def test_every_bad_row_is_named_with_its_line(inspect, folder):
    _, labels, test_labels = folder
    with open(labels, "a", encoding="utf-8") as file:
        file.write("\nabsent.png,cat\nété 1/0.png\nété 1/1.png,\n../secret.png,cat\n")
    with open(test_labels, "a") as file:
        file.write("x.png,cow\ny.png,cat,dog\n")
    code, printed, errors = inspect(*own(folder))
    assert (code, errors) == (1, "")
    of_train, of_test = printed[printed.index("BAD ROWS of train") :].split("BAD ROWS of test")
    for line, what in ((7, "absent.png"), (8, ""), (9, "été 1/1.png"), (10, "../secret.png")):
        (found,) = (row for row in of_train.splitlines() if f"labels.csv, line {line}:" in row)
        assert what in found
    assert "test.csv, line 5:" in of_test and "cow" in of_test
    assert "test.csv, line 6:" in of_test
    assert printed.endswith("\nFound 6 bad rows.\n")
    report = json.loads(inspect(*own(folder), "--json")[1])
    assert [len(part["bad_rows"]) for part in report["splits"]] == [4, 2]


def test_a_matrix_with_known_negatives(inspect, folder):
    pictures, labels, _ = folder
    labels.write_text("file,sea,dog\nx.png,1,-1\ny.png,,0\nété 1/1.png,-1,1\n", encoding="utf-8")
    code, printed, _ = inspect("--images", pictures, "--labels", labels)
    lines = [line.split() for line in printed.splitlines()]
    assert code == 0
    assert "sea 1 33.3 1 1".split() in lines and "dog 1 33.3 1 1".split() in lines
    assert "images without a positive label 1".split() in lines


def test_all_rows_are_bad(inspect, folder):
    folder[1].write_text("file,label\nx.png\n,cat\n")
    code, printed, errors = inspect(*own(folder, test=False))
    assert (code, errors) == (1, "")
    assert "labels.csv, line 2:" in printed and "labels.csv, line 3:" in printed


def test_the_same_picture_to_train_and_to_test(inspect, folder):
    with open(folder[2], "a", encoding="utf-8") as file:
        file.write("été 1/3.png,dog\n")
    code, printed, _ = inspect(*own(folder))
    assert code == 1 and "  same bytes: train été 1/3.png = test été 1/3.png\n" in printed


def test_the_sheet(inspect, varied_voc, folder, tmp_path):
    sheet = tmp_path / "new" / "sheet.png"
    assert inspect("--data", varied_voc, "--sheet", sheet)[0] == 0
    with Image.open(sheet) as of_voc:
        assert of_voc.format == "PNG" and of_voc.width > 600
    first = sheet.read_bytes()
    inspect("--data", varied_voc, "--sheet", sheet)
    assert sheet.read_bytes() == first
    assert inspect(*own(folder), "--sheet", sheet)[0] == 0
    assert sheet.read_bytes() != first and list(sheet.parent.iterdir()) == [sheet]


def test_input_that_cannot_be_read(inspect, folder, varied_voc, tmp_path):
    pictures, labels, test_labels = folder
    (tmp_path / "nothing").mkdir()
    (tmp_path / "empty.csv").touch()
    for arguments, named in (
        (["--data", tmp_path / "absent"], "absent"),
        (["--data", tmp_path / "nothing"], "nothing"),
        (["--images", tmp_path / "absent", "--labels", labels], "absent"),
        (["--images", tmp_path / "nothing", "--labels", labels], "nothing"),
        (["--images", pictures, "--labels", tmp_path / "absent.csv"], "absent.csv"),
        (["--images", pictures, "--labels", tmp_path / "empty.csv"], "empty.csv"),
        ([*own(folder, test=False), "--test-labels", tmp_path / "absent.csv"], "absent.csv"),
        (["--data", varied_voc, "--sheet", labels / "sheet.png"], "sheet.png"),
    ):
        code, printed, errors = inspect(*arguments)
        assert (code, printed) == (2, ""), arguments
        assert errors.startswith("inspect_data: ") and named in errors
        assert errors.count("\n") == 1 and "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--images a", "--labels"),
        ("--labels a.csv", "--images"),
        ("--images a --labels a.csv --data digits", "--data"),
        ("--test-labels a.csv", "--test-labels"),
        ("--data digits --test-labels a.csv", "--test-labels"),
        ("--images a --labels a.csv --test-images b", "--test-labels"),
        ("--data digits --sheet a.jpg", "a.jpg"),
        ("--colour red", "--colour"),
    ],
)
def test_options_that_do_not_go_together(inspect_data, capsys, arguments, named):
    with pytest.raises(SystemExit) as stopped:
        inspect_data.main(arguments.split())
    errors = capsys.readouterr().err
    assert stopped.value.code == 2
    assert errors.startswith("usage: ") and named in errors.splitlines()[-1]


def test_help_teaches(inspect_data, capsys):
    with pytest.raises(SystemExit):
        inspect_data.main(["--help"])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for word in (
        "Exit code",
        "--data digits",
        "--test-labels test.csv",
        "file,label",
        "line number",
    ):
        assert word in printed, word


# As `| head`, which has ended when the recipe comes to print.
NOBODY_READS_ON = """
import os, runpy, sys
sys.argv = sys.argv[1:]
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_as_a_process(start_process, varied_voc, tmp_path):
    shutil.copy(picture(varied_voc, 2), picture(varied_voc, 7))
    # libjpeg has a line of its own for each of these.
    picture(varied_voc, 1).write_bytes(picture(varied_voc, 0).read_bytes()[:300])
    Image.effect_noise((64, 48), 50).save(picture(varied_voc, 3), progressive=True)
    picture(varied_voc, 3).write_bytes(picture(varied_voc, 3).read_bytes()[:-400])
    arguments = ["--data", varied_voc]
    sheet = ["--sheet", "sheet.png"]
    processes = [
        start_process([*arguments, *sheet], tmp_path, "inspect_data.py", PYTHONIOENCODING="ascii"),
        start_process(arguments, tmp_path, "inspect_data.py", NOBODY_READS_ON),
        start_process(["--data", "absent"], tmp_path, "inspect_data.py"),
    ]
    ends = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    assert [(code, errors) for _, errors, code in ends[:2]] == [(1, ""), (1, "")]
    assert ends[0][0].endswith("\nFound 2 broken pictures, 1 leak.\n")
    printed, errors, code = ends[2]
    assert code == 2 and printed == ""
    assert errors.startswith("inspect_data: absent: ") and errors.count("\n") == 1


def test_a_terminal_that_lacks_the_letters(inspect_data, folder, monkeypatch, tmp_path):
    (folder[0] / "x.png").write_bytes((folder[0] / "été 1" / "0.png").read_bytes())
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert inspect_data.main(list(map(str, own(folder)))) == 1
    assert r"train \xe9t\xe9 1/0.png = test x.png" in (tmp_path / "out").read_text()

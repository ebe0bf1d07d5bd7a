"""What bad input gets: exit code 2, one line that names the file or option, and nothing written."""

import dataclasses
import json
import shutil
import signal
import subprocess

import pytest

from keras_patchpu import training


@pytest.fixture
def one_line(train_voc, capsys):
    """Runs the recipe with bad input and gives its one line on standard error."""

    def run(arguments):
        assert train_voc.main(arguments) == 2
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert printed.err.endswith("\n") and printed.err.count("\n") == 1, printed.err
        assert printed.err.startswith("train_voc: ")
        return printed.err

    return run


def test_no_data_at_hand(start_process, tmp_path):
    # A process of its own, so that all of its standard error is seen.
    process = start_process([], tmp_path, HOME=str(tmp_path))
    printed, errors = process.communicate(timeout=120)
    lines = errors.splitlines()
    assert process.returncode == 2 and printed == "" and len(lines) == 3, errors
    assert "VOCdevkit, data/VOCdevkit, ~/VOCdevkit" in lines[0]
    assert "--data /path/to/VOCdevkit" in lines[1]
    assert "--data digits" in lines[2]
    # Keras's own in the home, and that of Matplotlib, which Keras imports where it is installed.
    assert {path.name for path in tmp_path.iterdir()} <= {".keras", ".config"}


def test_data_in_the_first_place_looked_at(train_voc, make_voc, tmp_path, monkeypatch):
    make_voc(tmp_path, num_train=3, num_val=2)
    monkeypatch.chdir(tmp_path)
    run, _ = train_voc.plan(train_voc.parse_arguments([]))
    assert len(run.train) == 3


def edit(file, before, after):
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def cut_off(file, kept=0.5):
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])


ANNOTATION = "Annotations/2008_000001.xml"
PICTURE = "JPEGImages/2008_000001.jpg"
BAD_DATA = {
    "no annotations": (shutil.rmtree, "Annotations", "Annotations"),
    "unknown class": (lambda f: edit(f, "<name>dog", "<name>dragon"), ANNOTATION, "dragon"),
    "cut off XML": (cut_off, ANNOTATION, "2008_000001.xml"),
    "missing XML": (lambda f: f.unlink(), ANNOTATION, "2008_000001.xml"),
    "missing image": (lambda f: edit(f, "2008_000001", "2008_999999"), ANNOTATION, "2008_999999"),
    "not an image": (lambda f: f.write_text("dear diary"), PICTURE, "2008_000001.jpg"),
    "empty image": (lambda f: f.write_bytes(b""), PICTURE, "2008_000001.jpg"),
    "cut off JPEG": (cut_off, PICTURE, "2008_000001.jpg"),
    "cut off test JPEG": (lambda f: cut_off(f, 0.9), "JPEGImages/2008_000004.jpg", "000004.jpg"),
    "empty list": (lambda f: f.write_text(""), "ImageSets/Main/train.txt", "train.txt"),
    "no list": (lambda f: f.unlink(), "ImageSets/Main/val.txt", "val.txt"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(one_line, make_voc, small_run, tmp_path, case):
    spoil, where, named = BAD_DATA[case]
    devkit = make_voc(tmp_path / "data", num_train=3, num_val=2)
    spoil(devkit / "VOC2012" / where)
    message = one_line(small_run(tmp_path / "runs" / "a", tmp_path / "models", data=devkit))
    assert named in message and ": " in message
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_tensorflow_adds_no_line_about_a_cut_off_jpeg(start_process, make_voc, small_run, tmp_path):
    devkit = make_voc(tmp_path / "data", num_train=3, num_val=2)
    cut_off(devkit / "VOC2012" / PICTURE)
    process = start_process(small_run(tmp_path / "a", tmp_path / "b", data=devkit), tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.count("\n") == 1 and "2008_000001.jpg" in errors


@pytest.mark.parametrize("kept", [0.02, 0.3], ids="{:.0%}".format)
def test_a_jpeg_without_its_header(one_line, make_voc, small_run, tmp_path, kept):
    devkit = make_voc(tmp_path / "data", num_train=3, num_val=2)
    cut_off(devkit / "VOC2012" / PICTURE, kept)
    message = one_line(small_run(tmp_path / "a", tmp_path / "b", data=devkit))
    assert "2008_000001.jpg" in message
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_a_folder_without_data(one_line, small_run, tmp_path, there):
    if there:
        (tmp_path / "data").mkdir()
    message = one_line(small_run(tmp_path / "a", tmp_path / "b", data=tmp_path / "data"))
    assert f"{tmp_path}/data" in message
    assert ("not a VOC folder" if there else "no such folder") in message
    assert not (tmp_path / "a").exists()


def test_images_without_any_label(one_line, make_voc, small_run, tmp_path):
    devkit = make_voc(tmp_path / "data", num_train=3, num_val=2)
    for file in (devkit / "VOC2012" / "Annotations").iterdir():
        text = file.read_text()
        file.write_text(text[: text.index("<object>")] + "</annotation>")
    assert "no image has a positive label" in one_line(
        small_run(tmp_path / "runs" / "a", tmp_path / "models", data=devkit)
    )


@pytest.mark.parametrize(
    "options",
    [("--image-size", "60"), ("--levels", "3"), ("--patch-size", "33"), ("--levels", "5000")],
    ids=" ".join,
)
def test_a_level_without_a_patch(one_line, small_run, tmp_path, options):
    message = one_line(small_run(tmp_path / "runs" / "a", tmp_path / "models", *options))
    assert "--image-size" in message and "--levels" in message and "--patch-size" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "hinge"),
        ("--recipe", "secret"),
        ("--epochs", "0"),
        ("--batch-size", "-4"),
        ("--image-size", "big"),
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--colour", "red"),
        ("--model", "vgg"),
        ("--augment", "flip,twist"),
    ],
    ids=" ".join,
)
def test_unknown_options_and_values(train_voc, small_run, tmp_path, capsys, options):
    with pytest.raises(SystemExit) as stopped:
        train_voc.main(small_run(tmp_path / "a", tmp_path / "models", *options))
    assert stopped.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("usage: ") and options[1] in errors.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_exists(one_line, finished, small_run):
    before = contents(finished.out)
    message = one_line(small_run(finished.out, finished.saved_models))
    assert str(finished.out) in message and "--resume" in message and "--out" in message
    assert contents(finished.out) == before


@pytest.mark.parametrize(
    "options",
    [("--loss", "an"), ("--epochs", "5"), ("--batch-size", "4"), ("--seed", "1")],
    ids=" ".join,
)
def test_resume_with_another_configuration(one_line, finished, small_run, options):
    before = contents(finished.out)
    message = one_line(small_run(finished.out, finished.saved_models, "--resume", *options))
    assert options[0].strip("-").replace("-", "_") in message and options[1] in message
    assert str(finished.out) in message
    assert contents(finished.out) == before


def test_resume_with_other_data(one_line, finished, make_voc, small_run, tmp_path):
    devkit = make_voc(tmp_path, num_train=21, num_val=10)
    resume = small_run(finished.out, finished.saved_models, "--resume", data=devkit)
    assert "num_train" in one_line(resume)


def test_resume_in_a_directory_of_something_else(one_line, small_run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    assert "thesis" in one_line(small_run(tmp_path / "thesis", tmp_path / "models", "--resume"))
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "checkpoints/epoch-0004.keras"])
def test_resume_with_a_damaged_file(one_line, finished, small_run, tmp_path, name):
    shutil.copytree(finished.out, tmp_path / "run")
    cut_off(tmp_path / "run" / name)
    message = one_line(small_run(tmp_path / "run", tmp_path / "models", "--resume"))
    assert str(tmp_path / "run" / name) in message
    assert not (tmp_path / "models").exists()


def test_a_place_that_cannot_be_written(one_line, small_run, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "file" in one_line(small_run(tmp_path / "file" / "run", tmp_path / "models"))


def unfinished_in(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".unfinished")]


def test_a_full_disk_while_training(
    one_line, train_voc, make_voc, small_run, files_of_at_most, tmp_path
):
    # 6 images in batches of 8.
    devkit = make_voc(tmp_path / "data", num_train=6, num_val=3)
    arguments = small_run(tmp_path / "a", tmp_path / "models", "--epochs", "1", data=devkit)
    with files_of_at_most(1_000_000):
        message = one_line(arguments)
    assert "epoch-0001.keras" in message and "--resume" in message
    assert list((tmp_path / "a" / "checkpoints").iterdir()) == []
    assert unfinished_in(tmp_path) == []

    assert train_voc.main([*arguments, "--resume"]) == 0
    assert (tmp_path / "models" / "a" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize(
    ("limit", "missing"), [(1_000_000, "model.keras"), (500_000, "saved_model")]
)
def test_a_full_disk_after_training(
    one_line, finished, small_run, files_of_at_most, tmp_path, limit, missing
):
    shutil.copytree(finished.out, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    if missing == "model.keras":
        (tmp_path / "run" / "model.keras").unlink()
    with files_of_at_most(limit):
        message = one_line(small_run(tmp_path / "run", tmp_path / "models", "--resume"))
    assert str(tmp_path) in message
    assert unfinished_in(tmp_path) == []
    assert contents(tmp_path / "models") == {}


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a file system of some kilobytes; only root can."""
    place = tmp_path / "disk"

    def mount(kilobytes):
        place.mkdir(exist_ok=True)
        options = f"remount,size={kilobytes}k" if place.is_mount() else f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs to mount a file system")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(
    one_line, finished, train_voc, small_run, small_disk, assert_same_end
):
    place = small_disk(4)
    (place / "filler").write_bytes(bytes(4096))
    resume = small_run(place / "run", place / "models", "--resume")
    assert "No space left" in one_line(resume)
    (place / "filler").unlink()
    # The checkpoint fits but not the model beside it; both fit but not the export.
    size = (finished.out / "model.keras").stat().st_size // 1024
    small_disk(size * 3 // 2)
    for name in ("config.json", "history.csv", "weak_negatives.json"):
        shutil.copy(finished.out / name, place / "run")
    shutil.copytree(finished.out / "checkpoints", place / "run" / "checkpoints")
    for kilobytes, file in ((size * 3 // 2, "model.keras"), (size * 9 // 4, "models/run/1")):
        small_disk(kilobytes)
        message = one_line(resume)
        assert str(place / file) in message or str(place / "run" / file) in message
        assert "No space left" in message
        assert unfinished_in(place) == []
    small_disk(100_000)
    assert train_voc.main(resume) == 0
    assert_same_end(finished.out, place / "run")


@pytest.mark.slow
def test_a_loss_that_is_no_number(one_line, small_run, tmp_path, monkeypatch):
    diverging = dataclasses.replace(training.RECIPES["small"], learning_rate=1e30)
    monkeypatch.setitem(training.RECIPES, "small", diverging)
    message = one_line(small_run(tmp_path / "a", tmp_path / "models"))
    assert "loss" in message and "nan" in message
    left = {path.name for path in (tmp_path / "a").iterdir()}
    assert left == {"config.json", "observed.csv", "tensorboard"}
    assert not (tmp_path / "models").exists()


def test_control_c(train_voc, small_run, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupted)
    assert train_voc.main(small_run(tmp_path / "a", tmp_path / "models")) == 130
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and "--resume" in errors


@pytest.mark.slow
def test_control_c_in_an_epoch(start_process, small_run, tmp_path):
    out = tmp_path / "run"
    process = start_process(small_run(out, tmp_path / "models", "--epochs", "400"), tmp_path)
    for line in process.stdout:
        if line.startswith("epoch   2/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.count("\n") == 1 and "--resume" in errors
    assert json.loads((out / "config.json").read_text())["epochs"] == 400
    assert unfinished_in(tmp_path) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--weights", "imagenet"),
        ("--model", "resnet50", "--weights", "nowhere.h5"),
        ("--cache", "/dev/null/cache"),
    ],
    ids=" ".join,
)
def test_weights_and_caches_that_are_not_there(one_line, small_run, tmp_path, options):
    message = one_line(small_run(tmp_path / "runs" / "a", tmp_path / "models", *options))
    assert options[-1] in message and ": " in message
    assert list(tmp_path.iterdir()) == []

"""What bad input gets: exit code 2, one line that names the file or option, and nothing written."""

import shutil

import pytest


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
    run, _ = train_voc.data_set_training.plan(train_voc.parse_arguments([]))
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
        ("--loss-options", "theta"),
        ("--loss-options", "theta=much"),
        ("--loss-options", "theta=inf"),
        ("--loss-options", "theta=0.1,theta=0.2"),
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


@pytest.mark.parametrize(
    ("loss", "options", "said"),
    [
        ("wn", "thetta=0.1", "no option 'thetta': it has theta, stop_gradient"),
        ("wn", "theta=2", "`theta`. Expected a cosine similarity"),
        ("bce", "theta=0", "no option 'theta': it has none"),
        ("en+scl", "map_size=14.5", "map_size"),
        ("en", "num_examples=3", "no option 'num_examples'"),
    ],
)
def test_options_that_the_loss_does_not_take(one_line, small_run, tmp_path, loss, options, said):
    arguments = ["--loss", loss, "--loss-options", options]
    assert said in one_line(small_run(tmp_path / "a", tmp_path / "models", *arguments))
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
    [
        ("--loss", "an"),
        ("--epochs", "5"),
        ("--batch-size", "4"),
        ("--seed", "1"),
        ("--loss-options", "theta=0.1"),
    ],
    ids=" ".join,
)
def test_resume_with_another_configuration(one_line, finished, small_run, options):
    before = contents(finished.out)
    message = one_line(small_run(finished.out, finished.saved_models, "--resume", *options))
    assert options[0].strip("-").replace("-", "_") in message
    assert options[1].split("=")[-1] in message and str(finished.out) in message
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


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_resume_with_a_damaged_file(one_line, finished, small_run, tmp_path, name):
    shutil.copytree(finished.out, tmp_path / "run")
    cut_off(tmp_path / "run" / name)
    message = one_line(small_run(tmp_path / "run", tmp_path / "models", "--resume"))
    assert str(tmp_path / "run" / name) in message
    assert not (tmp_path / "models").exists()


def test_a_place_that_cannot_be_written(one_line, small_run, tmp_path):
    (tmp_path / "file").write_text("x")
    assert "file" in one_line(small_run(tmp_path / "file" / "run", tmp_path / "models"))


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

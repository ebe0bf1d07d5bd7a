"""`recipes/train_folder.py`: from a folder and a CSV to a trained, measured, exported model."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 60, 230)}
SMALL = "--image-size 64 --patch-size 32 --levels 2 --batch-size 8 --epochs 2".split()


@pytest.fixture(scope="session")
def train_folder(import_script):
    return import_script("recipes", "train_folder")


@pytest.fixture
def photos(tmp_path):
    """A folder of 30 pictures, each with squares of one or two colours, and what they show."""
    rng = np.random.default_rng(0)
    shown = {}
    (tmp_path / "photos" / "sub dir").mkdir(parents=True)
    for number in range(30):
        pixels = np.full((40, 60, 3), 128, np.uint8)
        names = list(rng.permutation(list(COLOURS))[: 1 + number % 2])
        for place, name in enumerate(names):
            pixels[5:30, 5 + 28 * place : 28 + 28 * place] = COLOURS[name]
        file = f"{'sub dir/' if number % 3 else ''}größe {number}.png"
        Image.fromarray(pixels).save(tmp_path / "photos" / file)
        shown[file] = names
    return tmp_path / "photos", shown


def write_csv(file, rows):
    with open(file, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return str(file)


@pytest.fixture
def labels(photos, tmp_path):
    """One positive a row."""
    rows = [(file, names[0]) for file, names in photos[1].items()]
    return write_csv(tmp_path / "labels.csv", [("file", "label"), *rows])


@pytest.fixture
def matrix(photos, tmp_path):
    """One positive a row, known negatives in every second one; the first row has these alone."""
    rows = [
        (file, *(1 if c == names[0] else "" if c in names or i % 2 else -1 for c in COLOURS))
        for i, (file, names) in enumerate(list(photos[1].items())[10:])
    ]
    rows[0] = tuple("" if cell == 1 else cell for cell in rows[0])
    return write_csv(tmp_path / "matrix.csv", [("file", *COLOURS), *rows])


@pytest.fixture
def truth(photos, tmp_path):
    """The whole truth of ten pictures."""
    rows = [
        (file, *(int(c in names) for c in COLOURS)) for file, names in list(photos[1].items())[:10]
    ]
    return write_csv(tmp_path / "test.csv", [("file", *COLOURS), *rows])


@pytest.fixture
def run(train_folder, photos, tmp_path, capsys):
    """Runs the recipe; gives the exit code, what was printed, and the run's directory."""

    def train(*options):
        places = ["--out", tmp_path / "run", "--saved-models", tmp_path / "models"]
        arguments = ["--images", photos[0], *places, *SMALL, *options]
        code = train_folder.main([str(argument) for argument in arguments])
        return code, capsys.readouterr(), tmp_path / "run"

    return train


def test_without_truth_no_map_is_claimed(
    run, evaluate_recipe, import_script, labels, photos, capsys
):
    code, printed, out = run("--labels", labels)
    assert code == 0, printed.err
    assert "test mAP" not in printed.out and "mAP cannot be known" in printed.out
    assert "LRAP" in printed.out.splitlines()[6]  # the first epoch
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["truth_known"] is False and "mean_average_precision" not in metrics
    config = json.loads((out / "config.json").read_text())
    assert config["num_train"] + config["num_test"] == 30 and config["num_test"] >= 1
    assert config["label_names"] == ["blue", "green", "red"]

    evaluated = [str(out), "--images", str(photos[0]), "--labels", labels]
    assert evaluate_recipe.main([*evaluated, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again == {name: metrics[name] for name in again}

    report = (out / "report.html").read_text()
    assert "mAP cannot be known" in report and "What nobody has named" in report
    assert import_script("recipes", "report").main(evaluated) == 0
    assert (out / "report.html").read_text() == report


def test_with_the_truth_of_test_pictures(run, evaluate_recipe, matrix, truth, photos, capsys):
    code, printed, out = run("--labels", matrix, "--test-labels", truth, "--loss", "bce")
    assert code == 0, printed.err
    assert "19 given positives and 20 known negatives" in printed.out
    assert "test mAP" in printed.out and "cannot be known" not in printed.out
    metrics = json.loads((out / "metrics.json").read_text())
    counts = {name: value["positives"] for name, value in metrics["labels"].items()}
    expected = dict.fromkeys(COLOURS, 0)
    for names in list(photos[1].values())[:10]:
        for name in names:
            expected[name] += 1
    assert counts == expected

    line = next(line for line in printed.out.splitlines() if line.startswith("evaluate"))
    assert "--images" in line and "--test-labels" in line
    evaluated = [str(out), "--images", str(photos[0]), "--test-labels", truth, "--json"]
    assert evaluate_recipe.main(evaluated) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["mean_average_precision"] == metrics["mean_average_precision"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loss", "bce"], "has no -1"),
        (["--loss", "epr"], "--expected-positives"),
        (["--loss", "role"], "--expected-positives"),
        (["--loss", "en+cl"], "--expected-positives"),
        (["--test-labels", "nowhere.csv"], "nowhere.csv"),
        (["--labels", "nowhere.csv"], "nowhere.csv"),
        (["--images", "nowhere"], "nowhere: no such folder"),
    ],
    ids=" ".join,
)
def test_bad_input(run, labels, options, said):
    code, printed, out = run("--labels", labels, *options)
    assert code == 2 and printed.out == ""
    assert printed.err.startswith("train_folder: ") and printed.err.count("\n") == 1, printed.err
    assert said in printed.err and not out.exists()


def test_bad_rows_are_counted(run, labels):
    with open(labels, "a", encoding="utf-8") as file:
        file.write("nowhere.png,red\n../secret.png,red\n")
    code, printed, out = run("--labels", labels)
    assert code == 2 and "labels.csv, line" in printed.err and "inspect_data.py" in printed.err
    assert not out.exists()


def test_evaluate_wants_images_and_labels_together(evaluate_recipe, capsys):
    for options in (["--images", "photos"], ["--labels", "labels.csv"]):
        with pytest.raises(SystemExit) as stopped:
            evaluate_recipe.main(["run", *options])
        assert stopped.value.code == 2
        assert "--images goes with" in capsys.readouterr().err


def test_test_pictures_are_none_of_the_training_pictures(run, labels, truth):
    code, printed, out = run("--labels", labels, "--test-labels", truth)
    assert code == 2 and "10 of its pictures are in" in printed.err and not out.exists()


def test_one_label_alone(run, tmp_path, photos):
    rows = [(file, "red") for file in photos[1]]
    code, printed, _ = run("--labels", write_csv(tmp_path / "a.csv", [("file", "label"), *rows]))
    assert code == 2 and "the one label red" in printed.err


def test_evaluate_on_labels_that_were_trained_on(
    train_folder, run, evaluate_recipe, matrix, truth, photos, capsys
):
    code, printed, out = run("--labels", matrix, "--test-labels", truth, "--epochs", "1")
    assert code == 0, printed.err
    evaluated = [str(out), "--images", str(photos[0]), "--labels", matrix]
    assert evaluate_recipe.main(evaluated) == 2
    assert "held nothing of --labels out" in capsys.readouterr().err

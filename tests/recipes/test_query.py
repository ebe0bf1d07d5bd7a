"""`recipes/query.py` asks a test server that speaks TF Serving's protocols."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_patchpu import PatchClassifier
from keras_patchpu.overlay import draw_overlay
from keras_patchpu.serving import Client, export
from keras_patchpu.serving.pictures import NO_PICTURE

NAMES = ["cat", "Hündin", "a/b 牛"]


@pytest.fixture(scope="module")
def query(import_script):
    """The module `recipes/query.py`."""
    return import_script("recipes", "query")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    for variable in model.trainable_variables:  # so that the labels' scores differ
        if variable.path.endswith("patch_embedder/dense/kernel"):
            variable.assign(2e6 * variable)
    return export(model, tmp_path_factory.mktemp("model"), NAMES)


@pytest.fixture(scope="module")
def urls(saved_model, import_script):
    """The URLs of a served model, by protocol."""
    with import_script("tests/serving", "protocol_server").serve(saved_model, "m") as served:
        _, rest, grpc = served
        yield {
            "http": f"http://127.0.0.1:{rest}/v1/models/m",
            "grpc": f"grpc://127.0.0.1:{grpc}/v1/models/m",
        }


@pytest.fixture
def files(tmp_path):
    """Good pictures, `a.png`, `b.jpg` and `more/a.jpg`."""
    (tmp_path / "more").mkdir()
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "more/a.jpg")]
    for seed, path in enumerate(paths):
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype="uint8")
        Image.fromarray(pixels).resize((90, 50)).save(path)
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def answers_of(saved_model):
    """Labels, label scores and scores of files, by the SavedModel in this process."""
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]

    def ask(files):
        pictures = [pathlib.Path(file).read_bytes() for file in files]
        answer = signature(image_bytes=tf.constant(pictures))
        labels = [[label.decode() for label in row] for row in answer["labels"].numpy()]
        return labels, answer["label_scores"].numpy(), answer["scores"].numpy()

    return ask


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_table(query, urls, answers_of, files, capsys, protocol):
    assert query.main([*files, "--url", urls[protocol]]) == 0
    printed = capsys.readouterr()
    labels, scores, _ = answers_of(files)
    width = max(map(len, files))
    expected = [
        f"{file.ljust(width)}  "
        + "  ".join(f"{label} {100 * score:.1f}%" for label, score in zip(*row, strict=True))
        for file, *row in zip(files, labels, scores, strict=True)
    ]
    assert printed.out.splitlines() == expected
    assert printed.err == ""


def test_top(query, urls, answers_of, files, capsys):
    assert query.main([files[0], "--url", urls["http"], "--top", "1"]) == 0
    ((best, *_),), ((score, *_),), _ = answers_of(files[:1])
    assert capsys.readouterr().out == f"{files[0]}  {best} {100 * score:.1f}%\n"


def test_json(query, urls, answers_of, files, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    asked = [files[0], str(tmp_path / "bad.png"), files[1]]
    assert query.main([*asked, "--url", urls["grpc"], "--json", "--top", "2"]) == 1
    printed = capsys.readouterr()
    first, bad, last = map(json.loads, printed.out.splitlines())
    labels, label_scores, scores = answers_of(files[:2])
    for row, line in enumerate([first, last]):
        assert list(line) == ["file", "status", "labels", "label_scores", "scores"]
        assert line["file"] == files[row] and line["status"] == "ok"
        assert line["labels"] == labels[row][:2]
        np.testing.assert_allclose(line["label_scores"], label_scores[row][:2], atol=1e-6)
        np.testing.assert_allclose(line["scores"], scores[row], atol=1e-6)
    assert bad == {"file": asked[1], "status": NO_PICTURE}
    assert printed.err == f"query: {asked[1]}: {NO_PICTURE}\n"
    asked = ["nowhere", *files[:2], "nobody"]
    assert query.main([*asked, "--url", urls["grpc"], "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["file"] for line in told] == asked
    assert told[0]["status"] == told[3]["status"] == "No such file or directory"


def test_bad_files_are_told_and_the_others_answered(query, urls, files, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    bad = [str(tmp_path / name) for name in ("nowhere.png", "bad.png", "more")]
    asked = [bad[0], files[0], bad[1], bad[2], files[1]]
    assert query.main([*asked, "--url", urls["http"]]) == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == files[:2]
    reasons = ["No such file or directory", NO_PICTURE, "Is a directory"]
    expected = [f"query: {file}: {why}" for file, why in zip(bad, reasons, strict=True)]
    assert sorted(printed.err.splitlines()) == sorted(expected)


def test_only_bad_files(query, urls, tmp_path, capsys):
    assert query.main([str(tmp_path / "nowhere"), "--url", urls["http"]]) == 1
    assert capsys.readouterr().out == ""


def test_overlays(query, urls, files, tmp_path):
    folder = tmp_path / "out" / "seen"
    assert query.main([*files, "--url", urls["grpc"], "--overlay", str(folder), "--top", "3"]) == 0
    with Client(urls["grpc"]) as client:
        answers = [client.predict([pathlib.Path(file).read_bytes()])[0] for file in files]
    safe = dict(zip(NAMES, ["cat", "Hündin", "a_b_牛"], strict=True))
    names = set()
    for file, stem, answer in zip(files, ["a", "b", "a-2"], answers, strict=True):
        for rank, label in enumerate(answer.labels):
            name = f"{stem}.{rank + 1}-{safe[label]}.png"
            names.add(name)
            with Image.open(file) as picture, Image.open(folder / name) as written:
                score, attention_map = answer.label_scores[rank], answer.attention_maps[rank]
                expected = draw_overlay(picture, attention_map, label, score)
                difference = np.asarray(written).astype(int) - np.asarray(expected)
                assert abs(difference).max() <= 1
    assert {path.name for path in folder.iterdir()} == names and len(names) == 9


def test_an_overlay_is_of_the_best_label(query, urls, tmp_path):
    Image.new("I;16", (90, 50), 100 * 256).save(tmp_path / "a.png")
    arguments = ["--url", urls["http"], "--overlay", str(tmp_path / "out")]
    assert query.main([str(tmp_path / "a.png"), *arguments]) == 0
    (written,) = (tmp_path / "out").iterdir()
    assert written.name.startswith("a.1-")
    with Image.open(written) as overlay:
        assert overlay.getpixel((0, 0))[1] <= 100  # 16 bits are as dark as they are


def test_long_and_odd_names(query, urls, files, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    content = pathlib.Path(files[0]).read_bytes()
    names = [b"x" * 250 + b".png", b"x" * 250 + b".jpg", b"\xff.png", "ü".encode() * 120]
    for name in names:
        pathlib.Path(str(folder), name.decode("utf-8", "surrogateescape")).write_bytes(content)
    asked = sorted(map(str, folder.iterdir()))
    arguments = ["--url", urls["http"], "--overlay", str(tmp_path / "out")]
    assert query.main([*asked, *arguments]) == 0
    assert query.main([*asked, *arguments, "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    "change, word",
    [
        (lambda url: "localhost:8501", "is not the URL of a model"),
        (lambda url: url + "x", "no such model or version"),
        (lambda url: url + "/versions/2", "no such model or version"),
        (lambda url: "http://127.0.0.1:1/v1/models/m", "refused"),
    ],
    ids=["url", "model", "version", "server"],
)
def test_what_stops_all(query, urls, files, tmp_path, capsys, change, word):
    assert query.main([*files, "--url", change(urls["http"])]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("query: ") and word in printed.err


def test_an_overlay_folder_that_is_a_file(query, urls, files, capsys):
    assert query.main([*files, "--url", urls["http"], "--overlay", files[0]]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and files[0] in printed.err


@pytest.mark.parametrize(
    "option",
    ["--top 0", "--parallel 0", "--parallel x", "--timeout 0", "--timeout nan", "--timeout inf"],
)
def test_bad_options(query, files, capsys, option):
    with pytest.raises(SystemExit) as stop:
        query.main([*files, "--url", "http://localhost:8501/v1/models/m", *option.split()])
    assert stop.value.code == 2
    assert option.split()[0] in capsys.readouterr().err


def test_the_process(start_process, urls, files, tmp_path):
    """A process of its own, so that all of its output is seen, on a terminal without Unicode."""
    arguments = [files[0], "nowhere.png", "--url", urls["grpc"]]
    process = start_process(arguments, tmp_path, "query.py", PYTHONIOENCODING="ascii")
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors == "query: nowhere.png: No such file or directory\n"
    assert printed.count("\n") == 1 and "H\\xfcndin" in printed

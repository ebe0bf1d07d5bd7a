"""The program that runs the ablations, on a few scenes of digits."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from PIL import Image

from keras_patchpu import data, training

FIGURES = ("theta", "gradient", "levels", "patch", "blocks", "classifier", "mlp")


@pytest.fixture(scope="module")
def studies(import_benchmark):
    return import_benchmark("ablation_studies")


@pytest.fixture(scope="module")
def ablation_run(import_benchmark):
    return import_benchmark("ablation_run")


@pytest.fixture
def ablations(import_benchmark, monkeypatch):
    """The program, to which the digits are 18 scenes to train on and 8 to test."""

    def read(source, seed):
        assert source == "digits"
        return data.read_digits("train", 18, seed), data.read_digits("test", 8, seed)

    small = dataclasses.replace(training.RECIPES["digits"], embedding_dim=8, epochs=2)
    monkeypatch.setattr(data, "read_source", read)
    monkeypatch.setitem(training.RECIPES, "digits", small)
    return import_benchmark("ablations")


@pytest.fixture
def arguments(tmp_path):
    out = ["--out", str(tmp_path / "results" / "a.json"), "--runs", str(tmp_path / "runs")]
    return ["--data", "digits", *out]


@pytest.mark.parametrize("recipe", ["digits", "small"])
def test_the_studies(studies, recipe):
    made = studies.make_studies(recipe)
    assert tuple(study.name for study in made) == FIGURES
    changed = []
    for study in made:
        assert sum(variant == studies.BASE for variant in study.variants.values()) == 1
        assert len(study.question) < 75  # fits its figure
        changed += [label for label, v in study.variants.items() if v != studies.BASE]
    assert len(set(changed)) == len(changed)


@pytest.mark.parametrize(
    ("recipe", "patches"),
    [("digits", [21, 5, 1]), ("small", [130, 30, 5, 1])],
)
def test_patch_sizes_cost_about_the_same(studies, recipe, patches):
    base = training.RECIPES[recipe]
    (study,) = [study for study in studies.make_studies(recipe) if study.name == "patch"]
    recipes = [dataclasses.replace(base, **variant.recipe) for variant in study.variants.values()]
    counts = []
    for changed in recipes:
        sizes = [changed.image_size // 2**level for level in range(changed.num_levels)]
        assert sizes[-1] >= changed.patch_size
        counts.append(sum((size // changed.patch_size) ** 2 for size in sizes))
    assert counts == patches
    pixels = [count * changed.patch_size**2 for count, changed in zip(counts, recipes, strict=True)]
    assert max(pixels) < 1.5 * min(pixels)


@pytest.fixture
def one_block(import_benchmark, ablation_run, monkeypatch):
    """Embedders have one block, which is traced sooner than five."""
    whole = import_benchmark("ablated_classifier").AblatedClassifier
    monkeypatch.setattr(ablation_run, "AblatedClassifier", functools.partial(whole, num_blocks=1))


@pytest.mark.slow
def test_stopped_and_started_again(ablations, one_block, arguments, tmp_path, monkeypatch, capsys):
    arguments += ["--only", "mlp", "--seeds", "3"]
    save = training.Checkpoints.save

    def save_and_stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Checkpoints, "save", save_and_stop)
        assert ablations.main(arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err

    def history():
        return (tmp_path / "runs" / "base-3" / "history.csv").read_text().splitlines()

    first = history()
    assert len(first) == 2

    assert ablations.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "2 runs, 0 of them done" in printed
    assert "1 of 2  base, seed 3: test mAP" in printed and "left" in printed
    assert "2 of 2  without MLP, seed 3: test mAP" in printed
    # But for the times: the epoch whose end was cut off is measured anew.
    assert [line.split(",")[:3] for line in history()[:2]] == [
        line.split(",")[:3] for line in first
    ]
    assert len(history()) == 3
    log = (tmp_path / "runs" / "base-3" / "log.txt").read_text()
    assert [line[:11] for line in log.splitlines()] == ["epoch   1/2", "epoch   2/2"]

    content = json.loads((tmp_path / "results" / "a.json").read_text())
    assert set(content["runs"]) == {"base-3", "without_MLP-3"}
    assert content["data"] == "digits" and content["epochs"] == 2 and content["seeds"] == [3]
    assert list(content["studies"]) == list(FIGURES)
    with_mlp, without = content["studies"]["mlp"]["variants"].values()
    assert with_mlp["is_base"] and with_mlp["runs"] == ["base-3"]
    run = content["runs"]["without_MLP-3"]
    assert without["test_map"] == {"mean": run["test_map"], "deviation": None}
    assert run["test_map"] == run["test_map_by_epoch"][-1] and len(run["test_map_by_epoch"]) == 2
    assert run["patches"] == 5 and run["config"]["parts"] == {"mlp": False}
    assert content["runs"]["base-3"]["parameters"] - run["parameters"] == 2 * (8 * 8 + 8)
    assert content["studies"]["theta"]["variants"]["theta 0"]["runs"] == ["base-3"]
    # What the patches cut is of the scenes, and known of what was not run.
    not_run = {"is_base": False, "runs": [], "objects_cut": with_mlp["objects_cut"]}
    assert 0 < with_mlp["objects_cut"] < 1
    assert content["studies"]["theta"]["variants"]["theta 0.5"] == not_run

    # Done runs stay, and are in the results whatever is asked for.
    with monkeypatch.context() as patch:
        patch.setattr(training.trainer, "fit", None)
        assert ablations.main(arguments) == 0
    assert "2 runs, 2 of them done" in capsys.readouterr().out
    assert ablations.main([*arguments, "--epochs", "3"]) == 2
    assert "base-3 was started with epochs 2, not 3" in capsys.readouterr().err


def test_a_run_that_fails_is_reported(ablations, ablation_run, arguments, monkeypatch, capsys):
    def fail(run, cache, command):
        raise ablations.InputError("a loss of nan")

    monkeypatch.setattr(ablation_run.AblationRun, "train", fail)
    assert ablations.main([*arguments, "--only", "gradient"]) == 1
    assert "gradient flowing, seed 0: FAILED (a loss of nan)" in capsys.readouterr().out


def test_a_run_that_another_process_trains_is_left_to_it(ablations, arguments, tmp_path, capsys):
    with training.RunDirectory(tmp_path / "runs" / "base-0").sole_use():
        with training.RunDirectory(tmp_path / "runs" / "without_MLP-0").sole_use():
            assert ablations.main([*arguments, "--only", "mlp"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("is in use by another process that trains") == 2
    assert {path.name for path in (tmp_path / "runs").glob("*/*")} == {".lock"}


def test_data_that_is_not_there(import_benchmark, tmp_path, capsys):
    out = ["--out", str(tmp_path / "a.json"), "--runs", str(tmp_path)]
    assert import_benchmark("ablations").main(["--data", str(tmp_path / "voc"), *out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ablations: ") and error.count("\n") == 1


class FixedEmbeddings:
    """Stands in for a model: what it answers does not hang on the images."""

    def __init__(self, embeddings, theta):
        self.embeddings = embeddings
        self.loss = type("Loss", (), {"theta": theta})

    def predict_on_batch(self, images):
        return {"image_embeddings": np.repeat(self.embeddings[None], len(images), axis=0)}


@pytest.mark.parametrize("theta", [0.0, 0.7])
def test_the_measures_of_embeddings(ablations, ablation_run, arguments, theta):
    options = ablations.parse_arguments(arguments)
    base = ablations.plan(options, ablations.make_studies("digits"))[0].run
    embeddings = np.random.default_rng(0).normal(size=(10, 3)).astype("float32")
    measured = ablation_run.measure_embeddings(FixedEmbeddings(embeddings, theta), base, None)

    directions = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = directions.astype("float64") @ directions.T
    absent, hidden = [], []
    observed = data.draw_single_positive(base.test.labels, 0, keys=base.test.keys)
    for labels, column in zip(base.test.labels, observed.argmax(axis=1), strict=True):
        weights = np.where(cosines[column] > theta, cosines[column], 0)
        absent.extend(weights[labels == 0])
        hidden.extend(np.delete(weights, column)[np.delete(labels, column) == 1])
    assert hidden
    assert measured["weak_negative_of_absent"] == pytest.approx(np.mean(absent), abs=1e-5)
    assert measured["weak_negative_of_hidden_positives"] == pytest.approx(np.mean(hidden), abs=1e-5)
    pairs = np.abs(cosines[np.triu_indices(10, k=1)])
    assert measured["mean_absolute_cosine"] == pytest.approx(pairs.mean(), abs=1e-5)


def test_objects_cut(ablations, ablation_run, arguments):
    """Against the model's own patches, counted in pixels of the scenes."""
    options = ablations.parse_arguments(arguments)
    runs = {run.name: run for run in ablations.plan(options, ablations.make_studies("digits"))}
    test = data.read_digits("test", 100)
    pixels = [np.round(box * 96).astype(int) for box in np.concatenate(test.boxes)]
    for name in ("base-0", "16_pixels_3_levels-0", "64_pixels_1_level-0"):
        model = runs[name].make_model()
        (rows, columns), *_ = model.attention_grids
        patches = np.round(model.attention_boxes[: rows * columns] * (96 / 64)).astype(int)
        whole = [
            any((box[:2] >= patch[:2]).all() and (box[2:] <= patch[2:]).all() for patch in patches)
            for box in pixels
        ]
        run = dataclasses.replace(runs[name].run, test=test)
        assert ablation_run.objects_cut(run) == pytest.approx(1 - np.mean(whole), abs=1e-6)
    assert ablation_run.objects_cut(dataclasses.replace(run, test=test.select([]))) is None


def test_the_parts_and_the_loss_of_a_run(ablations, arguments):
    options = ablations.parse_arguments([*arguments, "--seeds", "1"])
    runs = {run.name: run for run in ablations.plan(options, ablations.make_studies("digits"))}
    assert len(runs) == 16
    model = runs["gradient_flowing-1"].make_model()
    assert not model.loss.stop_gradient and model.loss.theta == 0
    assert runs["theta_0.25-1"].make_model().loss.theta == 0.25
    assert runs["16_pixels_3_levels-1"].make_model().attention_grids == [(4, 4), (2, 2), (1, 1)]
    model = runs["an_sigmoids-1"].make_model()
    assert model.loss.name == "an" and model.classifier == "sigmoids"
    base, again = runs["base-1"].make_model(), training.make_model(runs["base-1"].run)
    for one, other in zip(base.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = base.optimizer.get_config(), again.optimizer.get_config()
    assert one | {"name": ""} == other | {"name": ""}


def variant(is_base, names, mean, deviation=None):
    figure = {"mean": mean, "deviation": deviation}
    keys = ("weak_negative_of_absent", "weak_negative_of_hidden_positives", "mean_absolute_cosine")
    return {"is_base": is_base, "runs": names, "test_map": figure, "objects_cut": 0.25} | {
        key: {"mean": None, "deviation": None} for key in keys
    }


def test_figures(import_benchmark, tmp_path, capsys):
    maps = {"a-0": 80.0, "a-1": 82.0, "b-0": 60.0}
    variants = {
        "with": variant(True, ["a-0", "a-1"], 81.0, 1.414),
        "without": variant(False, ["b-0"], 60.0),
        "never run": {"is_base": False, "runs": []},
    }
    studies = {
        "mlp": {"question": "Which?", "variants": variants},
        "theta": {"question": "None?", "variants": {k: variants[k] for k in ("with", "never run")}},
    }
    runs = {
        name: {"seed": int(name[-1]), "test_map": value, "parameters": 1234, "patches": 5}
        for name, value in maps.items()
    }
    results = {"data": "VOC2012", "epochs": 6, "studies": studies, "runs": runs}
    (tmp_path / "a.json").write_text(json.dumps(results))
    figures = import_benchmark("ablation_figures")
    assert figures.main([str(tmp_path / "a.json"), "--out", str(tmp_path / "figures")]) == 0
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["mlp-voc2012.png"]
    with Image.open(tmp_path / "figures" / "mlp-voc2012.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] == 1000
    base, changed = ((pixels == colour).all(axis=-1) for colour in [(230, 159, 0), (86, 180, 233)])
    assert np.flatnonzero(changed.any(axis=0))[0] < np.flatnonzero(base[:150].any(axis=0))[0]
    printed = capsys.readouterr().out
    assert "| **with** | 81.0 ± 1.4 |  | - | - | - | 1,234 | 5 | 25% |" in printed
    assert "| without | 60.0 | -20.0 |" in printed and "never run" not in printed


@pytest.mark.parametrize("content", ["{", "{}", "[]"])
def test_figures_of_another_file(import_benchmark, tmp_path, capsys, content):
    (tmp_path / "a.json").write_text(content)
    figures = import_benchmark("ablation_figures")
    assert figures.main([str(tmp_path / "a.json"), "--out", str(tmp_path / "figures")]) == 2
    assert "is not what ablations.py writes" in capsys.readouterr().err

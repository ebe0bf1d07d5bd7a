"""`recipes/export.py` adds a version beside the one that training exported."""

import pytest
import tensorflow as tf


def test_the_next_version(export_recipe, finished, tmp_path, capsys):
    folder = tmp_path / finished.out.name
    for version in ("1", "2"):
        arguments = [str(finished.out), "--saved-models", str(tmp_path)]
        assert export_recipe.main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out.strip() == str(folder / version)
        assert "docker run" in printed.err and "recipes/query.py" in printed.err
    assert sorted(path.name for path in folder.glob("[0-9]*")) == ["1", "2"]
    answers = [
        tf.saved_model.load(str(path)).signatures["serve_images"](
            images=tf.reshape(tf.range(2 * 64 * 64 * 3, dtype=tf.float32) % 256, (2, 64, 64, 3))
        )["scores"]
        for path in (folder / "1", next(finished.saved_models.glob("*/1")))
    ]
    assert answers[0].numpy().tolist() == answers[1].numpy().tolist()


@pytest.mark.parametrize("run", ["nowhere", "."])
def test_not_a_run(export_recipe, tmp_path, capsys, run):
    assert export_recipe.main([str(tmp_path / run), "--saved-models", str(tmp_path / "m")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("export: ") and "config.json" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_exists(export_recipe, finished, tmp_path, capsys):
    arguments = [str(finished.out), "--saved-models", str(tmp_path), "--version", "3"]
    assert export_recipe.main(arguments) == 0
    assert export_recipe.main(arguments) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["0", "-3", "new"])
def test_no_version(export_recipe, finished, tmp_path, capsys, version):
    with pytest.raises(SystemExit) as stopped:
        export_recipe.main([str(finished.out), "--version", version])
    assert stopped.value.code == 2 and "--version" in capsys.readouterr().err

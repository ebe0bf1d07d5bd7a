"""The recipe for COCO, on a small folder in the layout of the official archives."""

import json

import numpy as np
import pytest
from PIL import Image

SMALL = "--recipe small --image-size 64 --patch-size 32 --levels 2 --batch-size 2 --epochs 1"


@pytest.fixture(scope="module")
def train_coco(import_script):
    return import_script("recipes", "train_coco")


@pytest.fixture
def coco(tmp_path):
    """Three pictures to train on and two to measure on; the last one of each has no object."""
    folder, random = tmp_path / "coco", np.random.default_rng(0)
    (folder / "annotations").mkdir(parents=True)
    for split, number in (("train", 3), ("val", 2)):
        (folder / f"{split}2017").mkdir()
        images = [
            {"id": row, "file_name": f"{row:012d}.jpg", "width": 80, "height": 60}
            for row in range(1, number + 1)
        ]
        for image in images:
            pixels = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{split}2017" / image["file_name"])
        objects = [
            {"image_id": row, "category_id": label, "bbox": [9, 9, 30, 30], "iscrowd": 0}
            for row in range(1, number)
            for label in (18, 90)
        ]
        categories = [{"id": 18, "name": "dog"}, {"id": 90, "name": "toothbrush"}]
        content = {"images": images, "annotations": objects, "categories": categories}
        file = folder / "annotations" / f"instances_{split}2017.json"
        file.write_text(json.dumps(content))
    return folder


def test_from_the_folder_to_a_saved_model(train_coco, coco, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train_coco.main(["--data", str(coco), "--cache", "none", *SMALL.split()]) == 0
    printed = capsys.readouterr().out
    assert "COCO2017: 2 training and 1 test images, 2 labels, 2.00 an image" in printed
    assert f"python recipes/evaluate.py runs/coco2017-wn-0 --data {coco}" in printed
    metrics = json.loads((tmp_path / "runs" / "coco2017-wn-0" / "metrics.json").read_text())
    one = {"average_precision": 100.0, "positives": 1}  # of one image that has both labels
    assert metrics["labels"] == {"dog": one, "toothbrush": one}
    assert (tmp_path / "saved_models" / "coco2017-wn-0" / "1" / "saved_model.pb").exists()


def test_the_papers_recipe_is_the_default(train_coco, coco):
    run, out = train_coco.data_set_training.plan(train_coco.parse_arguments(["--data", str(coco)]))
    assert (run.recipe.image_size, run.recipe.optimizer, run.loss) == (640, "lamb", "wn")
    assert out == "runs/coco2017-wn-0"


def test_errors_are_its_own(train_coco, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        train_coco.main([])
    assert "--data" in capsys.readouterr().err
    assert train_coco.main(["--data", str(tmp_path / "nowhere")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("train_coco: ") and "no such folder" in error

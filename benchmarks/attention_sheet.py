"""Draw where a trained model finds the labels of some test images (figure 3 of the paper).

    python benchmarks/attention_sheet.py runs/digits-wn-0 --data digits --out docs/attention.png

One row an image: the picture, then one copy for each label that it really has, every patch filled
with red as strongly as the label attends to it, and the label's score below.
"""

import argparse
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
from PIL import Image, ImageDraw

from keras_patchpu import data, localization, training

CELL, CAPTION, COPIES = 128, 18, 4


def cell(picture: np.ndarray, caption: str) -> Image.Image:
    """A picture, enlarged, over its caption."""
    image = Image.new("RGB", (CELL, CELL + CAPTION), "white")
    image.paste(Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.NEAREST))
    ImageDraw.Draw(image).text((4, CELL + 3), caption, fill="black")
    return image


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="directory of a finished training run")
    parser.add_argument("--data", required=True, metavar="PATH|tfds|digits")
    parser.add_argument("--images", type=int, default=6, help="rows; default: 6")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="PNG file to write")
    options = parser.parse_args()

    directory = training.RunDirectory(options.run)
    config = directory.read_json("config.json")
    model = training.load_model(directory.model_path)
    (test,) = data.read_source(options.data, config["seed"], ["test"])
    # The first images with several labels: one label alone says little about the place.
    rows = np.flatnonzero((test.labels == 1).sum(axis=1) >= 2)[: options.images]
    images = np.stack(
        [
            data.decode_and_resize(
                data.read_encoded(test, row), model.image_size, config["resize"]
            ).numpy()
            for row in rows
        ]
    )
    outputs = model.predict(images, verbose=0)
    coverage = localization.patch_coverage(model.attention_grids, model.attention_boxes)
    maps = localization.attention_maps(outputs["attention"], coverage)
    scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(outputs["logits"]))

    sheet = Image.new("RGB", ((COPIES + 1) * CELL, len(rows) * (CELL + CAPTION)), "white")
    for line, row in enumerate(rows):
        cells = [cell(images[line], "")]
        for label in np.flatnonzero(test.labels[row] == 1)[:COPIES]:
            weight = maps[line, label].repeat(model.patch_size, 0).repeat(model.patch_size, 1)
            weight = 0.6 * weight[..., None]
            picture = (1 - weight) * images[line] + weight * np.array([255, 0, 0])
            caption = f"{test.label_names[label]}: {100 * scores[line, label]:.1f}"
            cells.append(cell(picture.astype("uint8"), caption))
        for column, image in enumerate(cells):
            sheet.paste(image, (column * CELL, line * (CELL + CAPTION)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out, optimize=True)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

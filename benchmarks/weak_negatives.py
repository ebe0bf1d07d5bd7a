"""What the weak negatives of a trained model are worth, on images whose truth is known.

    python benchmarks/weak_negatives.py runs/digits-wn-0 --data digits \
        --out benchmarks/results/weak_negatives_digits.json

On the test split one positive an image is taken as observed, as in training. The unobserved labels
are either absent or hidden positives; for both it reports the mean weak negative z~- (eq. 8), the
mean score, and the share of the label's attention that lies on patches which touch no object.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from keras_patchpu import data, losses, training


def background_share(model, test, attention: np.ndarray) -> np.ndarray:
    """`(N, L)`: attention on patches without any object; boxes as fractions, stretched images."""
    size = model.image_size
    patches = model.patch_pyramid.boxes(size, size) / size
    share = np.zeros(attention.shape[:2])
    for row, boxes in enumerate(test.boxes):
        overlap = np.minimum(patches[:, None, 2:], boxes[None, :, 2:]) - np.maximum(
            patches[:, None, :2], boxes[None, :, :2]
        )
        touches = (overlap > 0).all(axis=2).any(axis=1)
        share[row] = attention[row][:, ~touches].sum(axis=1)
    return share


def describe(chosen: np.ndarray, negatives, scores, background) -> dict:
    """Means over the chosen entries of `(N, L)`."""
    return {
        "count": int(chosen.sum()),
        "mean_weak_negative": float(negatives[chosen].mean()),
        "share_with_weak_negative_0": float((negatives[chosen] == 0).mean()),
        "mean_score": float(scores[chosen].mean()),
        "mean_attention_on_background": float(background[chosen].mean()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=pathlib.Path, help="finished training runs")
    parser.add_argument("--data", required=True, metavar="PATH|tfds|digits")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    options = parser.parse_args()

    results = {"command": " ".join(sys.argv), "runs": {}}
    for path in options.runs:
        directory = training.RunDirectory(path)
        config = directory.read_json("config.json")
        model = training.load_model(directory.model_path)
        (test,) = data.read_source(options.data, config["seed"], ["test"])
        images = data.load_images(test, config["image_size"], "stretch", progress=False)
        outputs = model.predict(images, batch_size=config["batch_size"], verbose=0)

        observed = data.draw_single_positive(test.labels, config["seed"], keys=test.keys)
        negatives = keras.ops.convert_to_numpy(
            losses.weak_negatives(observed, outputs["image_embeddings"])
        )
        scores = keras.ops.convert_to_numpy(keras.ops.sigmoid(outputs["logits"]))
        background = background_share(model, test, outputs["attention"])
        kinds = {
            "absent": test.labels == 0,
            "hidden_positive": (test.labels == 1) & (observed == 0),
            "observed": observed == 1,
        }
        results["runs"][path.name] = {
            name: describe(chosen, negatives, scores, background) for name, chosen in kinds.items()
        }
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

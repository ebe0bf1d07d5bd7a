"""What the weak negatives of a trained model are worth, on images whose truth is known.

    python benchmarks/weak_negatives.py runs/digits-wn-0 --data digits \
        --out benchmarks/results/weak_negatives_digits.json

On the test split one positive an image is taken as observed, as in training. The unobserved labels
are either absent or hidden positives; for both it reports the mean weak negative z~- (eq. 8), the
mean score, and the share of the label's attention that lies on patches which touch no object.

    python benchmarks/weak_negatives.py runs/digits-wn-* --plot weak_negatives.png

draws what runs of `wn` have written of theirs while they trained, weak_negatives.json: how often
one of each weight was right, and how many of the absent labels were found.
"""

import argparse
import json
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
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


def plot(directories: list[training.RunDirectory], file: pathlib.Path) -> None:
    """A row of two panels a run: precision by tenth in three epochs, and all figures by epoch."""
    from matplotlib.figure import Figure  # an extra, and not needed for --out

    figure = Figure((9, 3.4 * len(directories)), dpi=150, layout="constrained")
    panels = figure.subplots(len(directories), 2, squeeze=False)
    for directory, (by_tenth, by_epoch) in zip(directories, panels, strict=True):
        rows = directory.read_json("weak_negatives.json")["epochs"]
        chosen = {row["epoch"]: row for row in (rows[0], rows[len(rows) // 2], rows[-1])}
        for shade, row in zip(("#9ecae1", "#4292c6", "#08306b"), chosen.values(), strict=False):
            filled = [tenth for tenth in row["tenths"] if tenth["count"]]
            middles = [(tenth["above"] + tenth["up_to"]) / 2 for tenth in filled]
            precisions = [tenth["precision"] for tenth in filled]
            by_tenth.plot(middles, precisions, "o-", color=shade, label=f"epoch {row['epoch']}")
        by_tenth.axhline(rows[-1]["base_rate"], color="grey", ls="--", label="of all unobserved")
        by_tenth.set(xlabel="weak negative", ylabel="share that is absent", xlim=(0, 1))
        by_tenth.set_title(directory.path.name, loc="left")

        epochs = [row["epoch"] for row in rows]
        for name, style in {
            "precision": "C0-",
            "weighted_precision": "C0:",
            "recall": "C1-",
            "weighted_recall": "C1:",
        }.items():
            values = [np.nan if row[name] is None else row[name] for row in rows]
            by_epoch.plot(epochs, values, style, marker=".", label=name.replace("_", " "))
        by_epoch.set(xlabel="epoch", ylim=(0, 1.02))
        by_epoch.xaxis.get_major_locator().set_params(integer=True)
        for panel in (by_tenth, by_epoch):
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=8)
    figure.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=pathlib.Path, help="finished training runs")
    parser.add_argument("--data", metavar="PATH|tfds|digits")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--plot", type=pathlib.Path, help="PNG file to write, in place of --out")
    options = parser.parse_args()
    if options.plot:
        plot([training.RunDirectory(path) for path in options.runs], options.plot)
        return 0
    if not (options.data and options.out):
        parser.error("give --data and --out, or --plot")

    results = {"command": " ".join(sys.argv), "runs": {}}
    for path in options.runs:
        directory = training.RunDirectory(path)
        config = directory.read_json("config.json")
        model = training.load_model(directory.model_path)
        (test,) = data.read_source(options.data, config["seed"], ["test"])
        images = data.load_images(test, config["image_size"], config["resize"], progress=False)
        outputs = model.predict(images, batch_size=config["batch_size"], verbose=0)

        observed = data.draw_single_positive(test.labels, config["seed"], keys=test.keys)
        negatives = keras.ops.convert_to_numpy(
            losses.weak_negatives(
                observed, outputs["image_embeddings"], getattr(model.loss, "theta", 0.0)
            )
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

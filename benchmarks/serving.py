"""How fast the exported model answers, beside other ways to run the same network.

    pip install -e '.[benchmarks]'
    python benchmarks/serving.py --out benchmarks/results/serving.json

Every contender has a process of its own and all cores. They take turns call by call, so that what
else the machine does meets all of them alike; reported are medians and 99th percentiles over the
calls, the peak memory of the process up to that batch size, and the largest difference from the
scores of `model.predict`. A contender that is killed for its memory has null for that batch size.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import serving_contender
from PIL import Image

from keras_patchpu import PatchClassifier, data, serving

HERE = pathlib.Path(__file__).parent
# Calls of each contender for a batch size: 100 for a percentile that means something, and fewer
# where a call takes seconds.
CALLS = {1: 100, 8: 16, 32: 6}


def random_model(image_size, patch_size, num_levels):
    """Weights do not matter for speed, but each must matter for the scores that are compared."""
    keras.utils.set_random_seed(0)
    model = PatchClassifier(20, image_size, patch_size, num_levels)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.2, 2.0, variable.shape))
        elif variable.path.endswith("gamma"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif len(variable.shape) == 4:
            variable.assign(2.0 * variable)  # as drawn, the signal fades from layer to layer
        elif variable.dtype == "float32" and len(variable.shape) == 1:
            variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model


def prepare(folder, options):
    """Writes what the contenders read."""
    model = random_model(options.image_size, options.patch_size, options.levels)
    names = [f"label {number}" for number in range(20)]
    serving.export(model, folder / "export", names)

    archive = keras.export.ExportArchive()
    archive.track(model)
    size = options.image_size
    archive.add_endpoint(
        "serve_images",
        lambda images: {"scores": keras.ops.sigmoid(model(images, training=False)["logits"])},
        [keras.InputSpec(shape=(None, size, size, 3), dtype="float32", name="images")],
    )
    archive.write_out(folder / "unfolded" / "1", verbose=False)

    serving_contender.write_model(model, folder)
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    images = []
    for number in range(max(CALLS)):
        tiles = rng.integers(0, 256, (6, 8, 3), dtype="uint8")
        path = folder / "pictures" / f"{number:03}.jpg"
        # The usual size of a picture of VOC.
        Image.fromarray(tiles).resize((500, 375), Image.Resampling.BILINEAR).save(path)
        images.append(data.decode_and_resize(path.read_bytes(), size).numpy())
    np.save(folder / "images.npy", np.stack(images).astype("float32"))


class Contender:
    """A process that runs one of `serving_contender.CONTENDERS` when asked."""

    def __init__(self, name, folder):
        command = [sys.executable, "-W", "ignore", HERE / "serving_contender.py", name, folder]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.scores = np.array(json.loads(self.process.stdout.readline())["scores"])

    def run(self, batch):
        """Seconds and peak memory of one call, or None if the process has ended."""
        try:
            self.process.stdin.write(f"{batch}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def close(self):
        self.process.communicate()


def measure(contenders):
    """By contender and batch size, what `report` shows."""
    results = {name: {} for name in contenders}
    for batch, calls in CALLS.items():
        seconds = {name: [] for name in contenders}
        for call in range(-1, calls):  # the first of a batch size compiles, and is not counted
            for name, contender in contenders.items():
                answer = contender.run(batch)
                if answer is None:  # killed, since the machine has no more memory
                    seconds[name].clear()
                    continue
                if call >= 0:
                    seconds[name].append(answer["seconds"])
                results[name][batch] = {"peak_mb": round(answer["megabytes"])}
        for name, values in seconds.items():
            if not values:
                results[name][batch] = None
                continue
            median = float(np.median(values))
            results[name][batch] |= {
                "images_per_second": round(batch / median, 2),
                "p50_ms": round(1000 * median, 1),
                "p99_ms": round(1000 * float(np.percentile(values, 99)), 1),
            }
        print(report(results, batch), flush=True)
    return results


def report(results, batch):
    lines = [f"batch {batch:<16} images/s    p50 ms    p99 ms   peak MB"]
    for name, by_batch in results.items():
        row = by_batch[batch]
        if row is None:
            lines.append(f"{name:<22}   out of memory")
            continue
        lines.append(
            f"{name:<22} {row['images_per_second']:8.1f}  {row['p50_ms']:8.0f}  "
            f"{row['p99_ms']:8.0f}  {row['peak_mb']:8}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--image-size", type=int, default=640)
    parser.add_argument("--patch-size", type=int, default=64)
    parser.add_argument("--levels", type=int, default=4)
    options = parser.parse_args()
    packages = ("tensorflow", "keras", "torch", "openvino")
    try:
        versions = {name: importlib.metadata.version(name) for name in packages}
    except importlib.metadata.PackageNotFoundError as error:
        print(f"serving: {error}: pip install -e '.[benchmarks]'", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        prepare(folder, options)
        contenders = {name: Contender(name, folder) for name in serving_contender.CONTENDERS}
        results = measure(contenders)
        for contender in contenders.values():
            contender.close()

    expected = contenders["model.predict"].scores
    for name, contender in contenders.items():
        results[name]["largest_difference"] = float(np.abs(contender.scores - expected).max())
    result = {
        "command": " ".join(sys.argv),
        "image_size": options.image_size,
        "patch_size": options.patch_size,
        "num_levels": options.levels,
        "calls": CALLS,
        "results": results,
        "versions": versions,
        "cores": os.cpu_count(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

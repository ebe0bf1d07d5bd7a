"""One way to run the model, in a process of its own; `serving.py` starts it and asks.

    python benchmarks/serving_contender.py NAME FOLDER

Reads a batch size a line, runs the first so many images of FOLDER once, and prints a JSON line: the
seconds it took and the peak memory of the process so far in MB. Before the first line it prints
the scores of the first images, so that all can be seen to compute the same.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np


def saved_model(name, signature, argument):
    def load(folder):
        import quiet_start  # noqa: F401  not for the contenders without TensorFlow
        import tensorflow as tf

        loaded = tf.saved_model.load(str(folder / name / "1"))
        function = loaded.signatures[signature]

        def run(inputs):
            return function(**{argument: tf.constant(inputs)})["scores"].numpy()

        run.loaded = loaded  # alive as long as the function
        return run

    return load


def predict(folder):
    import quiet_start  # noqa: F401

    # isort: split
    import keras

    import keras_patchpu  # noqa: F401  registers the classes

    model = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)

    def run(images):
        outputs = model.predict(images, batch_size=len(images), verbose=0)
        return sigmoid(outputs["logits"])

    return run


def write_model(model, folder):
    """Writes what `predict` and `torch_model` read."""
    model.save(folder / "model.keras")
    np.savez(folder / "weights.npz", **{v.path: v.numpy() for v in model.weights})
    sizes = {"patch_size": model.patch_size, "num_levels": model.num_levels}
    (folder / "sizes.json").write_text(json.dumps(sizes))


def torch_model(folder):
    import torch
    from torch_patch_classifier import TorchPatchClassifier

    torch.set_num_threads(os.cpu_count())
    sizes = json.loads((folder / "sizes.json").read_text())
    weights = dict(np.load(folder / "weights.npz"))
    return TorchPatchClassifier(weights, sizes["patch_size"], sizes["num_levels"])


def torch_eager(folder):
    import torch

    model = torch_model(folder)

    def run(images):
        with torch.inference_mode():
            return torch.sigmoid(model(torch.from_numpy(images))).numpy()

    return run


def torch_frozen(folder):
    """Traced, with the batch normalizations folded by TorchScript."""
    import torch

    model = torch_model(folder)
    frozen = {}

    def run(images):
        tensor = torch.from_numpy(images)
        with torch.inference_mode():
            if len(images) not in frozen:
                frozen[len(images)] = torch.jit.freeze(torch.jit.trace(model, tensor))
            return torch.sigmoid(frozen[len(images)](tensor)).numpy()

    return run


def openvino(precision):
    def load(folder):
        import openvino
        import torch

        model = torch_model(folder)
        core = openvino.Core()
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": os.cpu_count(),
        }
        requests = {}

        def run(images):
            if len(images) not in requests:
                requests.clear()  # that of another batch size keeps gigabytes
                example = torch.from_numpy(images[:1])
                converted = openvino.convert_model(model, example_input=example)
                converted.reshape(list(images.shape))
                compiled = core.compile_model(converted, "CPU", options)
                requests[len(images)] = compiled.create_infer_request()
            return sigmoid(requests[len(images)].infer([images])[0])

        return run

    return load


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


CONTENDERS = {
    "export": saved_model("export", "serve_images", "images"),
    "export, from JPEG": saved_model("export", "serving_default", "image_bytes"),
    "unfolded export": saved_model("unfolded", "serve_images", "images"),
    "model.predict": predict,
    "PyTorch": torch_eager,
    "PyTorch, frozen": torch_frozen,
    "OpenVINO float32": openvino("f32"),
    "OpenVINO bfloat16": openvino("bf16"),
}


def peak_memory():
    """Megabytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main():
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    images = np.load(folder / "images.npy")
    if "JPEG" in name:
        pictures = sorted((folder / "pictures").iterdir())
        images = np.array([path.read_bytes() for path in pictures], dtype=object)
    run = CONTENDERS[name](folder)
    print(json.dumps({"scores": run(images[:2]).tolist()}), flush=True)
    for line in sys.stdin:
        batch = np.ascontiguousarray(images[: int(line)])
        started = time.perf_counter()
        run(batch)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "megabytes": peak_memory()}), flush=True)


if __name__ == "__main__":
    main()

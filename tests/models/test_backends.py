"""TensorFlow stays out of the layers, models, losses and metrics under other backends."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_patchpu

PACKAGE = Path(keras_patchpu.__file__).parent
MODULES = [
    *(
        PACKAGE / file
        for file in ("__init__.py", "crop_and_flip.py", "errors.py", "printable.py", "replicas.py")
    ),
    *(
        path
        for folder in ("layers", "models", "losses", "metrics")
        for path in sorted((PACKAGE / folder).glob("*.py"))
    ),
]
# Modules and packages of those, and what `from keras_patchpu import` takes from them.
HERE = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
HERE.add("PatchClassifier")


def imported_on_import(tree):
    """Dotted names of what is imported on import: by all statements but those of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported_on_import(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_tensorflow(path):
    for name in imported_on_import(ast.parse(path.read_text())):
        package, *rest = name.split(".")
        if package == "keras_patchpu":
            assert rest[0] in HERE
        else:
            assert package in sys.stdlib_module_names or package in ("keras", "numpy", "scipy")


# The layers of the patch model, but few of them, as JAX compiles each.
TRAIN = """
import sys
import keras
import numpy as np
import keras_patchpu
from keras_patchpu import layers, losses, metrics
images = keras.Input((32, 32, 3))
patches = layers.PatchPyramid(16, 2, patches_per_level=[3, 1])(images)
block = layers.TimeDistributed(layers.MBConvBlock(4, strides=2, expand_ratio=2))
embeddings = keras.ops.mean(block(patches), axis=(2, 3))
image_embeddings, attention = layers.CodebookAttention(3)(embeddings)
logits = layers.LabelClassifier(3)(image_embeddings)
outputs = {"logits": logits, "image_embeddings": image_embeddings, "attention": attention}
model = keras_patchpu.models.MultiLabelModel(images, outputs)
observed = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
rows = {"num_examples": 4, "num_labels": 3, "expected_positives": 1.5, "observed": observed}
average_precision = metrics.MeanAveragePrecision(max_examples=4)
model.compile("sgd", losses.get("en", **rows), metrics=[average_precision])
photos = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
history = model.fit(photos, {"observed": observed, "index": np.arange(4)}, verbose=0)
assert np.isfinite(history.history["loss"]).all()
assert model.predict(photos, verbose=0)["logits"].shape == (4, 3)
# Keras imports it by itself to write a file.
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.tensorflow_only("starts the others itself")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_without_tensorflow(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    path = os.pathsep.join([str(PACKAGE.parent), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    finished = subprocess.run(
        [sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr

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
    *(PACKAGE / file for file in ("__init__.py", "crop_and_flip.py", "errors.py")),
    *(
        path
        for folder in ("layers", "models", "losses", "metrics")
        for path in sorted((PACKAGE / folder).glob("*.py"))
    ),
]


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
            assert rest[0] in (
                "crop_and_flip",
                "layers",
                "models",
                "losses",
                "metrics",
                "PatchClassifier",
            )
        else:
            assert package in sys.stdlib_module_names or package in ("keras", "numpy", "scipy")


FORWARD = """
import sys
import numpy as np
import keras_patchpu
images = np.zeros((2, 64, 64, 3), "float32")
model = keras_patchpu.PatchClassifier(3, image_size=64, patch_size=32, num_levels=2)
assert model(images)["logits"].shape == (2, 3)
assert "tensorflow" not in sys.modules
# From here on Keras imports it by itself, where it is installed, to serialize layers.
for name, arguments in {
    "resnet50": {},
    "query2label": {"hidden_dim": 8, "feedforward_dim": 8},
}.items():
    model = keras_patchpu.models.MODELS[name](3, image_size=64, **arguments)
    assert model(images)["logits"].shape == (2, 3)
model.compile("sgd", loss=keras_patchpu.losses.get("wn"))
model.fit(images, {"observed": np.eye(3, dtype="float32")[:2]}, verbose=0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_run_without_tensorflow(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    path = os.pathsep.join([str(PACKAGE.parent), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path}
    finished = subprocess.run(
        [sys.executable, "-c", FORWARD], env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr

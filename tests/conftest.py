"""Fixtures that more than one part of the tests uses."""

import contextlib
import importlib
import os
import pathlib
import resource
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is first imported

if os.environ.get("KERAS_BACKEND") == "jax":
    # It compiles in half the time what then runs a little slower, and nothing large twice.
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    compiled = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name

import hypothesis
import keras
import numpy as np
import pytest
from PIL import Image

from keras_patchpu.models import resnet_body

BACKEND = keras.backend.backend()

# Seconds mean little on a machine that others use too. JAX compiles for each size of an array.
hypothesis.settings.register_profile(
    "no deadline", deadline=None, max_examples=10 if BACKEND == "jax" else 100
)
hypothesis.settings.load_profile("no deadline")

if BACKEND == "torch":
    import torch

    _read_array = torch.Tensor.__array__

    def _read_detached(tensor, dtype=None, copy=None):
        """NumPy reads a tensor that has a gradient, as it reads those of the other backends."""
        return np.array(_read_array(tensor.detach(), dtype), copy=copy)

    torch.Tensor.__array__ = _read_detached
    del torch.Tensor.__array_wrap__  # and what it computes of a tensor is an array

_COLOURS = {"cat": (220, 40, 40), "dog": (40, 200, 60), "person": (50, 70, 230)}
_OBJECT = """
  <object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated>
    <difficult>{difficult}</difficult><bndbox>
    <xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>
  </bndbox></object>"""


def _draw_image(file, number, size):
    """Writes one picture; gives its annotation and the flag (1, 0 or -1) of each of its classes.

    A coloured rectangle is an object of the class of its colour. Every picture has a cat, a dog or
    a person in its left half, every second one also the next class in its right half, and every
    third one a difficult chair that nobody painted.
    """
    width, height = size, size - size // 4
    pixels = np.full((height, width, 3), 128, np.uint8)
    names = list(_COLOURS)
    objects, flags = [], {name: -1 for name in (*names, "chair")}
    for half in range(1 + number % 2):
        name = names[(number + half) % len(names)]
        left, top = half * width // 2 + 2, 3 + number % 5
        right, bottom = left + width // 3, top + height // 2
        pixels[top:bottom, left:right] = _COLOURS[name]
        box = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        objects.append(_OBJECT.format(name=name, difficult=0, **box))
        flags[name] = 1
    if number % 3 == 0:
        box = {"xmin": 1, "ymin": 1, "xmax": 5, "ymax": 5}
        objects.append(_OBJECT.format(name="chair", difficult=1, **box))
        flags["chair"] = 0
    Image.fromarray(pixels).save(file, quality=95)
    xml = (
        f"<annotation><filename>{file.name}</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
    )
    return xml, flags


def _look_up(plane, y, x):
    """Bilinear value of `(R, C)` cells at (y, x) in [0, 1], half-pixel centres, edges extended."""
    rows, columns = plane.shape
    y, x = min(max(y * rows - 0.5, 0), rows - 1), min(max(x * columns - 0.5, 0), columns - 1)
    top, left = min(int(y), rows - 2) if rows > 1 else 0, min(int(x), columns - 2)
    left = max(left, 0)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * plane[top, left] + dx * plane[top, right]
    lower = (1 - dx) * plane[bottom, left] + dx * plane[bottom, right]
    return (1 - dy) * upper + dy * lower


@pytest.fixture(scope="session")
def seen_by_hand():
    """`seen_by_hand(plane, crop, flip, shape)`: what each cell of a changed picture shows.

    T and resize of equation 7 of Verelst et al. (2023), of one map `(R, C)`.
    """

    def see(plane, crop, flip, shape):
        ymin, xmin, ymax, xmax = crop
        seen = np.zeros(shape)
        for row, column in np.ndindex(shape):
            x = (column + 0.5) / shape[1]
            x = 1 - x if flip else x
            y = (row + 0.5) / shape[0]
            seen[row, column] = _look_up(plane, ymin + y * (ymax - ymin), xmin + x * (xmax - xmin))
        return seen

    return see


@pytest.fixture(scope="session")
def moved_by_hand():
    """`moved_by_hand(running, present, crop, flip, mu)`: the running map `(R, C)` after a step.

    Only cells whose centres are in the crop move.
    """

    def move(running, present, crop, flip, mu):
        ymin, xmin, ymax, xmax = crop
        moved = running.copy()
        for row, column in np.ndindex(running.shape):
            y, x = (row + 0.5) / running.shape[0], (column + 0.5) / running.shape[1]
            if ymin <= y < ymax and xmin <= x < xmax:
                y, x = (y - ymin) / (ymax - ymin), (x - xmin) / (xmax - xmin)
                value = _look_up(present, y, 1 - x if flip else x)
                moved[row, column] = mu * running[row, column] + (1 - mu) * value
        return moved

    return move


def pytest_runtest_setup(item):
    marker = item.get_closest_marker("tensorflow_only")
    if marker is not None and BACKEND != "tensorflow":
        (reason,) = marker.args
        pytest.skip(f"TensorFlow only: {reason}")


def _tensorflow_gradients(function, tensors, variables):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    sources = [*tensors, *(variable.value for variable in variables)]
    gradients = tape.gradient(value, sources, unconnected_gradients="zero")
    return value, map(tf.convert_to_tensor, gradients)  # those of rows looked up are sparse


def _torch_gradients(function, tensors, variables):
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    value = function(*tensors)
    sources = [*tensors, *(variable.value for variable in variables)]
    if not value.requires_grad:  # where all of them are stopped
        return value, map(torch.zeros_like, sources)
    gradients = torch.autograd.grad(value.sum(), sources, allow_unused=True, materialize_grads=True)
    return value.detach(), gradients


def _jax_gradients(function, tensors, variables):
    import jax

    def objective(tensors, values):
        with keras.StatelessScope(zip(variables, values, strict=True)):
            return keras.ops.sum(function(*tensors))

    values = [variable.value for variable in variables]
    of_tensors, of_variables = jax.grad(objective, argnums=(0, 1))(list(tensors), values)
    return function(*tensors), of_tensors + of_variables  # with what the call writes, once


@pytest.fixture(scope="session")
def value_and_gradients():
    """`value_and_gradients(function, arrays, variables=())`: NumPy, of the present backend.

    The value of `function(*tensors)`, and the gradients of its sum by each tensor and each
    `keras.Variable`, 0 where none flows.
    """
    differentiate = {
        "tensorflow": _tensorflow_gradients,
        "torch": _torch_gradients,
        "jax": _jax_gradients,
    }[BACKEND]

    def gradients(function, arrays, variables=()):
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        value, gradients = differentiate(function, tensors, variables)
        return np.asarray(value), [np.asarray(gradient) for gradient in gradients]

    return gradients


if BACKEND == "jax":

    @pytest.fixture(scope="module", autouse=True)
    def compiled_for_the_file():
        """What JAX has compiled for a file of tests goes with it, or it all takes gigabytes."""
        yield
        import jax

        jax.clear_caches()


@pytest.fixture(scope="session")
def import_benchmark():
    """Imports a file of `benchmarks/`: `import_benchmark("ablations")`."""
    folder = str(pathlib.Path(__file__).parents[1] / "benchmarks")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory):
    """Keeps the caches of the recipes out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def files_of_at_most():
    """A context in which no file grows beyond a number of bytes: an error as of a full disk."""

    @contextlib.contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def make_voc():
    """A function that writes a small VOCdevkit into a folder and gives its path.

    `make_voc(folder, num_train=6, num_val=4, size=64)`: pictures are `size` pixels wide and three
    quarters as high; ids count from `2008_000000`, those of val after those of train.
    """

    def make(folder, num_train: int = 6, num_val: int = 4, size: int = 64) -> pathlib.Path:
        voc = pathlib.Path(folder) / "VOCdevkit" / "VOC2012"
        lists = voc / "ImageSets" / "Main"
        for part in (lists, voc / "Annotations", voc / "JPEGImages"):
            part.mkdir(parents=True)
        splits = {
            "train": range(num_train),
            "val": range(num_train, num_train + num_val),
            "trainval": range(num_train + num_val),
        }
        for split, numbers in splits.items():
            class_lines = {}
            for number in numbers:
                image_id = f"2008_{number:06d}"
                image = voc / "JPEGImages" / f"{image_id}.jpg"
                xml, flags = _draw_image(image, number, size)
                (voc / "Annotations" / f"{image_id}.xml").write_text(xml)
                for name, flag in flags.items():
                    class_lines.setdefault(name, []).append(f"{image_id} {flag:2d}\n")
            ids = "".join(f"2008_{number:06d}\n" for number in numbers)
            (lists / f"{split}.txt").write_text(ids)
            for name, lines in class_lines.items():
                (lists / f"{name}_{split}.txt").write_text("".join(lines))
        return voc.parent

    return make


def _tiny_body(include_top, weights, input_shape):
    """Stands in for a ResNet of `keras.applications`: 3 channels, one place for 32x32 pixels."""
    assert not include_top
    images = keras.Input(input_shape)
    x = keras.layers.Conv2D(3, 3, strides=4, padding="same", name="conv")(images)
    x = keras.layers.BatchNormalization(name="bn")(x)
    features = keras.layers.AveragePooling2D(8, name="pool")(keras.layers.ReLU(name="relu")(x))
    body = keras.Model(images, features)
    if weights == "imagenet":
        body.set_weights([0 * weight + 0.5 for weight in body.get_weights()])
    return body


@contextlib.contextmanager
def _replaced_bodies():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet_body, "BODIES", {"resnet50": _tiny_body, "resnet101": _tiny_body})
        yield


@pytest.fixture
def tiny_bodies():
    """Models that are built in this test have a tiny body."""
    with _replaced_bodies():
        yield


@pytest.fixture(scope="session")
def build_tiny():
    """Builds a model with a tiny body, in a fixture of a wider scope than a test."""

    def build(function, *args, **kwargs):
        with _replaced_bodies():
            return function(*args, **kwargs)

    return build

"""The SavedModel through the C++ loader and session that TF Serving calls, without Python."""

import io
import pathlib
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from PIL import Image

from keras_patchpu import PatchClassifier
from keras_patchpu.serving import export

SCRIPT = pathlib.Path(__file__).with_name("cpp_loader.py")
LIBRARIES = pathlib.Path(tf.__file__).parent


def picture(kind, seed, size):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    return export(model, tmp_path_factory.mktemp("model"), ["cat", "Hündin", "牛"])


def test_equal_to_python_bit_for_bit(saved_model, tmp_path):
    folder = pathlib.Path(sklearn.datasets.__file__).parent / "images"
    photographs = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    assert len(photographs) == 2
    pictures = [*photographs, b"no picture", picture("png", 1, (70, 33))]
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    expected = signature(image_bytes=tf.constant(pictures))

    meta_graph = tf.compat.v1.saved_model.loader
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definition = meta_graph.load(session, ["serve"], str(saved_model))
        signature_def = definition.signature_def["serving_default"]
        names = {name: info.name for name, info in signature_def.outputs.items()}
        input_name = signature_def.inputs["image_bytes"].name
        by_session = session.run(names, {input_name: pictures})

    out = tmp_path / "answer.npz"
    command = [sys.executable, SCRIPT, LIBRARIES, saved_model, out, input_name, *names.values()]
    done = subprocess.run(command, input=pickle.dumps(pictures), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    answer = np.load(out)
    for name, tensor in names.items():
        value = expected[name].numpy()
        if value.dtype == object:
            assert answer[tensor].tolist() == by_session[name].tolist() == value.tolist()
        else:
            np.testing.assert_array_equal(answer[tensor], value)
            np.testing.assert_array_equal(by_session[name], value)


def test_a_folder_that_is_no_saved_model_is_an_error(tmp_path):
    command = [sys.executable, SCRIPT, LIBRARIES, tmp_path, tmp_path / "out.npz", "a:0", "b:0"]
    done = subprocess.run(command, input=pickle.dumps([]), capture_output=True, text=False)
    assert done.returncode == 1
    assert b"code 5" in done.stderr  # NOT_FOUND

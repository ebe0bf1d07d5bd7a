"""The real TF Serving, where its program is at hand: it loads, warms up, batches and answers."""

import concurrent.futures
import pathlib
import shutil
import socket
import subprocess
import time

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

from keras_patchpu import PatchClassifier
from keras_patchpu.serving import Client, export

PROGRAM = shutil.which("tensorflow_model_server")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="tensorflow_model_server is not on PATH"),
]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    return export(model, tmp_path_factory.mktemp("models") / "patchpu", ["cat", "Hündin", "牛"])


@pytest.fixture(scope="module")
def urls(version, tmp_path_factory):
    rest, grpc = free_port(), free_port()
    folder = version.parent
    # Outside the container of `how_to_serve`, models lie elsewhere.
    config = (folder / "models.config").read_text().replace("/models/patchpu", str(folder))
    config_file = tmp_path_factory.mktemp("config") / "models.config"
    config_file.write_text(config)
    log = config_file.with_name("log")
    command = [
        PROGRAM,
        f"--rest_api_port={rest}",
        f"--port={grpc}",
        f"--model_config_file={config_file}",
        "--enable_batching=true",
        f"--batching_parameters_file={folder / 'batching.txt'}",
    ]
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while "Exporting HTTP/REST API" not in log.read_text(errors="replace"):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    yield [f"{s}://127.0.0.1:{p}/v1/models/patchpu" for s, p in (("http", rest), ("grpc", grpc))]
    process.kill()
    process.wait()


@pytest.mark.parametrize("protocol", [0, 1], ids=["rest", "grpc"])
def test_good_and_broken_pictures_of_many_callers(version, urls, protocol):
    folder = pathlib.Path(sklearn.datasets.__file__).parent / "images"
    good = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    pictures = [*good, b"no picture", good[0][:1000]] * 4
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    expected = signature(image_bytes=tf.constant(pictures))
    with Client(urls[protocol]) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda picture: client.predict([picture])[0], pictures))
    assert [a.status.encode() for a in answers] == expected["status"].numpy().tolist()
    np.testing.assert_allclose([a.scores for a in answers], expected["scores"], atol=1e-5)
    np.testing.assert_allclose(
        [a.attention_maps for a in answers], expected["attention_maps"], atol=1e-5
    )

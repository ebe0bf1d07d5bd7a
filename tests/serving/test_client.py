"""The client, by both protocols, against a test server that speaks them (`protocol_server.py`)."""

import base64
import importlib
import io
import pathlib
import sys
import time

import keras
import numpy as np
import pytest
import requests
import tensorflow as tf
from PIL import Image

from keras_patchpu import PatchClassifier
from keras_patchpu.errors import InputError
from keras_patchpu.serving import Client, export
from keras_patchpu.serving.pictures import NO_PICTURE

NAMES = ["cat", "Hündin", "牛 🐎"]
BOTH = pytest.mark.parametrize("protocol", ["http", "grpc"])


def load_protocol_server():
    folder = str(pathlib.Path(__file__).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a script
    return importlib.import_module("protocol_server")


def picture(seed, size=(90, 50)):
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 3, 3), dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "png")
    return file.getvalue()


class Server:
    """A server with one model, `model`, version 1."""

    def __init__(self, servable, rest_port, grpc_port):
        self.servable = servable
        self.ports = {"http": rest_port, "grpc": grpc_port}

    def url(self, protocol, model="model"):
        return f"{protocol}://127.0.0.1:{self.ports[protocol]}/v1/models/{model}"


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = PatchClassifier(3, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)
    for variable in model.trainable_variables:  # so that scores and maps of pictures differ
        if variable.path.endswith("patch_embedder/dense/kernel"):
            variable.assign(2e6 * variable)
    return export(model, tmp_path_factory.mktemp("model"), NAMES)


@pytest.fixture(scope="module")
def running(saved_model):
    with load_protocol_server().serve(saved_model, "model") as served:
        yield Server(*served)


@pytest.fixture
def server(running):
    yield running
    running.servable.refuse, running.servable.delay = 0, 0.0


@pytest.fixture(scope="module")
def signature(saved_model):
    """The SavedModel called in this process."""
    signature = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    return lambda pictures: signature(image_bytes=tf.constant(pictures))


def assert_equal(answers, expected, tolerance):
    assert len(answers) == len(expected["status"])
    for row, answer in enumerate(answers):
        assert answer.status == expected["status"][row].numpy().decode()
        assert answer.labels == [label.decode() for label in expected["labels"][row].numpy()]
        for name in ("scores", "label_scores", "attention_maps"):
            value, right = getattr(answer, name), expected[name][row].numpy()
            assert value.dtype == np.float32 and value.shape == right.shape
            np.testing.assert_allclose(value, right, rtol=0, atol=tolerance)


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@BOTH
def test_answers_are_those_of_the_signature(server, signature, protocol):
    pictures = [picture(0), b"no picture", picture(1, (1, 1)), b"", picture(2, (300, 200))]
    with Client(server.url(protocol)) as client:
        answers = client.predict(pictures)
        assert client.predict([]) == []
    assert_equal(answers, signature(pictures), {"http": 1e-6, "grpc": 0}[protocol])
    assert [answer.ok for answer in answers] == [True, False, True, False, True]
    assert answers[1].status == NO_PICTURE
    assert set(answers[0].labels) == set(NAMES)
    assert answers[0].attention_maps.shape == (3, 2, 2)
    assert np.ptp([answer.scores for answer in answers[::2]], axis=0).max() > 0.001


@BOTH
@pytest.mark.parametrize("suffix", ["/versions/1", "/labels/stable"])
def test_a_version_and_a_label(server, protocol, suffix):
    with Client(server.url(protocol) + suffix) as client:
        assert client.predict([picture(0)])[0].ok


@BOTH
def test_many_pictures_come_in_order(server, signature, protocol):
    pictures = [picture(seed, (20, 10)) if seed % 7 else b"bad" for seed in range(60)]
    with Client(server.url(protocol)) as client:
        answers = list(client.predict_many(iter(pictures), parallel=5))
    # One at a time and all at once do not round alike.
    assert_equal(answers, signature(pictures), 1e-6)


def test_few_pictures_are_taken_ahead(server):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield b"bad"

    with Client(server.url("http")) as client:
        answers = client.predict_many(endless(), parallel=3)
        assert taken == 0
        for given in range(1, 30):
            next(answers)
            assert taken <= given + 6
        answers.close()
    assert taken <= 35


def test_an_answer_does_not_wait_for_pictures_that_are_long_in_coming(server):
    answered = False

    def slow():
        for _ in range(150):  # 8 seconds and fewer than are taken ahead
            yield b"bad"
            if answered:
                return
            time.sleep(0.05)
        pytest.fail("the first answer came only after all pictures")

    with Client(server.url("http")) as client:
        for _ in client.predict_many(slow(), parallel=100):
            answered = True


def test_as_many_requests_at_a_time_as_asked_for(server):
    server.servable.delay = 0.3
    with Client(server.url("http")) as client:
        start = time.monotonic()
        assert len(list(client.predict_many([b"bad"] * 8, parallel=8))) == 8
    assert time.monotonic() - start < 8 * 0.3


@BOTH
def test_retries_while_the_queue_is_full(server, protocol):
    # More than gRPC would send again by itself.
    large = picture(0) + bytes(1 << 20)
    server.servable.refuse = 2
    before = server.servable.requests
    with Client(server.url(protocol), retries=3) as client:
        assert client.predict([large])[0].ok
    assert server.servable.requests == before + 3


@BOTH
@pytest.mark.parametrize("retries", [0, 2])
def test_retries_come_to_an_end(server, protocol, retries):
    server.servable.refuse = 1000
    before = server.servable.requests
    with Client(server.url(protocol), retries=retries) as client:
        with pytest.raises(ConnectionError) as error:
            client.predict([picture(0)])
    assert "queue" in one_line(error) and server.url(protocol) in one_line(error)
    assert server.servable.requests == before + 1 + retries


@BOTH
def test_an_error_ends_many(server, protocol):
    server.servable.refuse = 1000
    with Client(server.url(protocol), retries=0) as client:
        with pytest.raises(ConnectionError):
            list(client.predict_many([b"bad"] * 50, parallel=2))


@BOTH
def test_no_answer_in_time(server, protocol):
    server.servable.delay = 2.0
    with Client(server.url(protocol), timeout=0.3) as client:
        start = time.monotonic()
        with pytest.raises(TimeoutError) as error:
            client.predict([picture(0)])
    assert time.monotonic() - start < 1.9
    assert "no answer in time" in one_line(error)


@BOTH
def test_the_port_of_the_other_protocol(server, protocol):
    other = {"http": "grpc", "grpc": "http"}[protocol]
    url = f"{protocol}://127.0.0.1:{server.ports[other]}/v1/models/model"
    with Client(url, timeout=20, retries=0) as client:
        with pytest.raises((ConnectionError, InputError)) as error:
            client.predict([picture(0)])
    assert url in one_line(error)


@BOTH
@pytest.mark.parametrize("model", ["mdel", "m%C3%B6del", "model/versions/2"])
def test_a_model_or_version_that_is_not_there(server, protocol, model):
    url = server.url(protocol, model)
    with Client(url) as client, pytest.raises(InputError) as error:
        client.predict([picture(0)])
    assert url in one_line(error) and "no such model or version" in one_line(error)
    assert "Servable not found for request" in one_line(error)


@BOTH
def test_a_label_that_is_not_there(server, protocol):
    with Client(server.url(protocol) + "/labels/canary") as client:
        with pytest.raises(InputError) as error:
            client.predict([picture(0)])
    assert "Unrecognized servable version label: canary" in one_line(error)


@pytest.fixture(scope="module")
def other_models(tmp_path_factory):
    """Models that are not ours: by what is wrong with them, and a word of the message."""
    picture_input = tf.TensorSpec((None,), tf.string, name="image_bytes")

    def length(image_bytes):
        return tf.cast(tf.strings.length(image_bytes), tf.float32)

    def with_names(*names):
        return lambda image_bytes: {name: length(image_bytes) for name in names}

    everything = ("scores", "labels", "label_scores", "attention_maps", "status")
    functions = {
        "other input": (lambda x: {"y": 2 * x}, [tf.TensorSpec((None,), name="x")], "image_bytes"),
        "one output": (with_names("y"), [picture_input], "without"),
        "some outputs": (with_names("scores", "status"), [picture_input], "attention_maps"),
        "no text": (with_names(*everything), [picture_input], "not iterable"),
    }
    folder = tmp_path_factory.mktemp("others")
    models = {}
    for case, (function, spec, word) in functions.items():
        module = tf.Module()
        signature = tf.function(function, input_signature=spec)
        tf.saved_model.save(module, str(folder / case / "1"), {"serving_default": signature})
        models[case] = folder / case / "1", word
    module = tf.Module()
    signature = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec((), name="x")])
    tf.saved_model.save(module, str(folder / "other name" / "1"), {"predict": signature})
    models["other signature"] = folder / "other name" / "1", "serving_default"
    return models


@pytest.mark.parametrize(
    "case", ["other input", "one output", "some outputs", "no text", "other signature"]
)
def test_another_model_behind_the_name(other_models, case):
    path, word = other_models[case]
    with load_protocol_server().serve(path, "model") as served:
        for protocol in ("http", "grpc"):
            with Client(Server(*served).url(protocol)) as client:
                with pytest.raises(InputError, match="keras_patchpu.serving.export") as error:
                    client.predict([picture(0)])
            assert word in one_line(error)


@pytest.mark.parametrize(
    "path, status", [("model", 200), ("model/versions/1", 200), ("model/versions/2", 404)]
)
def test_the_test_server_tells_its_state(server, path, status):
    response = requests.get(server.url("http", path))
    assert response.status_code == status
    assert ("AVAILABLE" in response.text) == (status == 200)


def test_the_test_server_takes_an_input_without_its_name(server, signature):
    row = {"b64": base64.b64encode(picture(0)).decode()}
    response = requests.post(server.url("http") + ":predict", json={"instances": [row]})
    scores = response.json()["predictions"][0]["scores"]
    np.testing.assert_allclose(scores, signature([picture(0)])["scores"][0], atol=1e-6)

"""The client before web servers that are not TF Serving, or serve another model."""

import contextlib
import http.server
import json
import threading

import numpy as np
import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.serving import Client


@contextlib.contextmanager
def answering(status, content):
    """A web server that answers one thing to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802  the library's name
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Location", "/")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models/model"
    server.shutdown()
    server.server_close()
    thread.join()


HTML = b"<html>\n<h1>Sign in</h1>\n</html>"


@pytest.mark.parametrize(
    "status, content, kind, word",
    [
        (200, HTML, InputError, "Sign in"),
        (302, HTML, InputError, "Sign in"),
        (404, HTML, InputError, "not the answer of an exported model"),
        (404, b'{"detail": "Not Found"}', InputError, "not the answer of an exported model"),
        (502, HTML, ConnectionError, "502"),
        (503, HTML, ConnectionError, "503"),
        (504, HTML, TimeoutError, "504"),
        (500, b'{"error": "out of luck"}', ConnectionError, "out of luck"),
        (401, b'{"error": "who are you?"}', InputError, "who are you?"),
        (200, b"[1, 2]", InputError, "[1, 2]"),
        (200, b'{"predictions": 1}', InputError, "predictions"),
        (200, b'{"predictions": []}', InputError, "0 answers to 1 pictures"),
        (200, b'{"predictions": [[0.5]]}', InputError, "without a name"),
        (200, b'{"predictions": [{"scores": ["a"]}]}', InputError, "without labels"),
        (200, b"", InputError, "status 200"),
    ],
)
def test_what_is_not_an_answer(status, content, kind, word):
    with answering(status, content) as url, Client(url, retries=1) as client:
        with pytest.raises(kind) as error:
            client.predict([b"picture"])
    message = str(error.value)
    assert word in message and url in message and "\n" not in message


RIGHT = {
    "scores": [0.5, 0.25, 0.125],
    "labels": ["a", "b"],
    "label_scores": [0.5, 0.25],
    "attention_maps": [[[0.5]], [[0.25]]],
    "status": "ok",
}


def test_what_is_an_answer():
    content = json.dumps({"predictions": [RIGHT]}).encode()
    with answering(200, content) as url, Client(url) as client:
        (answer,) = client.predict([b"picture"])
    assert answer.ok and answer.labels == ["a", "b"]
    for name in ("scores", "label_scores", "attention_maps"):
        np.testing.assert_array_equal(getattr(answer, name), RIGHT[name])


@pytest.mark.parametrize(
    "name, value",
    [
        ("scores", 0.5),
        ("scores", ["x", "y"]),
        ("scores", {"a": 1}),
        ("labels", ["a"]),
        ("labels", ["a", 2]),
        ("labels", 3),
        ("label_scores", [0.5]),
        ("attention_maps", [[0.5], [0.5]]),
        ("attention_maps", [[[0.5]]]),
        ("attention_maps", [[[0.5]], [[0.5, 0.5]]]),
        ("status", None),
    ],
)
def test_outputs_of_another_kind(name, value):
    content = json.dumps({"predictions": [{**RIGHT, name: value}]}).encode()
    with answering(200, content) as url, Client(url) as client:
        with pytest.raises(InputError, match="not the answer of an exported model") as error:
            client.predict([b"picture"])
    assert "\n" not in str(error.value)

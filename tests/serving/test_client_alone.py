"""The client where there is no server."""

import socket
import sys

import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.serving import Client

BOTH = pytest.mark.parametrize("protocol", ["http", "grpc"])


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@BOTH
def test_nobody_listens(protocol):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listened at, and nobody else can
        url = f"{protocol}://127.0.0.1:{unused.getsockname()[1]}/v1/models/model"
        with Client(url, timeout=20) as client, pytest.raises(ConnectionError) as error:
            client.predict([b"picture"])
    assert url in one_line(error) and "refused" in one_line(error)


@pytest.mark.parametrize("host", ["a..b", "b" * 70, "no-such-host.invalid"])
@BOTH
def test_a_host_that_is_none(protocol, host):
    with Client(f"{protocol}://{host}:8501/v1/models/model", timeout=20, retries=0) as client:
        with pytest.raises((ConnectionError, TimeoutError)) as error:
            client.predict([b"picture"])
    assert host in one_line(error)


def test_grpc_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(InputError) as error:
        Client("grpc://localhost:8500/v1/models/model")
    assert "pip install 'keras_patchpu[serving]'" in one_line(error)
    Client("http://localhost:8501/v1/models/model").close()

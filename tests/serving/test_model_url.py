"""URLs of models."""

import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.serving.model_url import ModelUrl


@pytest.mark.parametrize(
    "text, parts",
    [
        ("http://localhost:8501/v1/models/m", ("http", "localhost:8501", "m", None, None)),
        ("https://a.b.org:443/v1/models/m-0_1.x", ("https", "a.b.org:443", "m-0_1.x", None, None)),
        ("grpc://10.0.0.1:8500/v1/models/m", ("grpc", "10.0.0.1:8500", "m", None, None)),
        ("grpc://[::1]:8500/v1/models/m/versions/12", ("grpc", "[::1]:8500", "m", 12, None)),
        ("http://h:1/v1/models/m%C3%B6/labels/a%20b", ("http", "h:1", "mö", None, "a b")),
    ],
)
def test_parts(text, parts):
    assert ModelUrl.parse(text) == ModelUrl(text, *parts)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8501",
        "localhost:8501/v1/models/model",
        "ftp://localhost:8501/v1/models/model",
        "grpcs://localhost:8501/v1/models/model",
        "http://localhost/v1/models/model",
        "http://localhost:/v1/models/model",
        "http://localhost:port/v1/models/model",
        "http://localhost:99999/v1/models/model",
        "http://localhost:0/v1/models/model",
        "http://[::1/v1/models/model",
        "http://:8501/v1/models/model",
        "http://me:secret@localhost:8501/v1/models/model",
        "http://localhost:8501",
        "http://localhost:8501/v1/models/",
        "http://localhost:8501/v2/models/model",
        "http://localhost:8501/v1/models/model:predict",
        "http://localhost:8501/v1/models/model/",
        "http://localhost:8501/v1/models/model/versions/",
        "http://localhost:8501/v1/models/model/versions/best",
        "http://localhost:8501/v1/models/model/versions/9" + 18 * "9",
        "http://localhost:8501/v1/models/model/labels/",
        "http://localhost:8501/v1/models/model/versions/1/labels/a",
        "http://localhost:8501/v1/models/model?version=1",
        "http://localhost:8501/v1/models/model name",
        "http://localhost:8501/v1/models/model\n",
        "http://local\nhost:8501/v1/models/model",
    ],
)
def test_malformed_urls(url):
    with pytest.raises(InputError, match="http://localhost:8501/v1/models/NAME") as error:
        ModelUrl.parse(url)
    assert repr(url) in str(error.value) and "\n" not in str(error.value)

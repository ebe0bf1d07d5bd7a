"""TF Serving's REST API."""

import base64
from collections.abc import Sequence
from typing import Any

import requests
import urllib3

from keras_patchpu.serving import failures
from keras_patchpu.serving.model_url import ModelUrl

# Connections are kept open for so many threads; a connection that is not used costs nothing.
_MOST_CONNECTIONS = 128


class RestTransport:
    """Asks one model by HTTP. Threads may share it."""

    def __init__(self, model: ModelUrl, timeout: float, retries: int):
        self._url = model.text
        self._timeout = timeout
        retry = urllib3.Retry(
            total=retries,
            connect=0,  # nobody listening is told at once
            read=False,  # a server that is late would get still more to do
            status_forcelist=[503],  # the batching queue is full
            allowed_methods={"POST"},
            backoff_factor=0.1,
            raise_on_status=False,  # the last answer has the server's words
            respect_retry_after_header=False,  # it may ask for hours
        )
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=_MOST_CONNECTIONS, max_retries=retry)
        self._session = requests.Session()
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def predict(self, pictures: Sequence[bytes]) -> list[Any]:
        """The outputs of the model, one JSON value a picture: a dict, if the model is one of ours.

        Raises:
            InputError, ConnectionError, TimeoutError: see `failures`.
        """
        instances = [
            {"image_bytes": {"b64": base64.b64encode(picture).decode("ascii")}}
            for picture in pictures
        ]
        try:
            response = self._session.post(
                f"{self._url}:predict",
                json={"signature_name": "serving_default", "instances": instances},
                timeout=self._timeout,
                allow_redirects=False,  # a POST would become a GET
            )
        except requests.Timeout as error:
            raise failures.too_late(self._url, f"{self._timeout:g} seconds") from error
        # Of some host names urllib3 complains itself.
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise failures.unavailable(self._url, _first_cause(error)) from error
        return self._read(response)

    def _read(self, response: requests.Response) -> list[Any]:
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("predictions"), list):
            return answer["predictions"]
        from_tf_serving = isinstance(answer, dict) and isinstance(answer.get("error"), str)
        words = answer["error"] if from_tf_serving else response.text[:1000]
        words = f"status {response.status_code}: {words}"
        if response.status_code == 504:
            raise failures.too_late(self._url, words)
        if response.status_code >= 500:
            raise failures.unavailable(self._url, words)
        if not from_tf_serving:
            raise failures.not_an_export(self._url, words)
        if response.status_code == 404:
            raise failures.no_such_model(self._url, words)
        raise failures.refused(self._url, words)

    def close(self) -> None:
        self._session.close()


def _first_cause(error: BaseException) -> str:
    """Such as "Connection refused", without the names of the classes that passed it on."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)

"""Asking an exported model that TF Serving serves."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_patchpu.serving import failures
from keras_patchpu.serving.answer import Answer
from keras_patchpu.serving.grpc_transport import GrpcTransport
from keras_patchpu.serving.model_url import ModelUrl
from keras_patchpu.serving.rest_transport import RestTransport


class Client:
    """Asks one model, by REST or gRPC. Threads may share it.

        with Client("http://localhost:8501/v1/models/digits-wn-0") as client:
            (answer,) = client.predict([pathlib.Path("some.png").read_bytes()])

    Args:
        url: `http://HOST:PORT/v1/models/NAME`, `https://...` or, not encrypted, `grpc://...`;
            with `/versions/VERSION` or `/labels/LABEL` behind it for another version than the
            newest one.
        timeout: seconds that the server may take for an answer. By REST each retry has as many
            again; by gRPC they are for all tries together.
        retries: how often a request is sent again while the server says that it has too much to do
            (503, UNAVAILABLE), with growing pauses: 3 seconds in all for 5. gRPC ends with 4.

    Raises:
        InputError: if the URL is not that of a model, or tensorflow-serving-api is missing for
            gRPC.
    """

    def __init__(self, url: str, timeout: float = 30.0, retries: int = 5):
        model = ModelUrl.parse(url)
        self._url = url
        transport = GrpcTransport if model.scheme == "grpc" else RestTransport
        self._transport = transport(model, timeout, retries)

    def predict(self, pictures: Sequence[bytes]) -> list[Answer]:
        """Asks about N pictures, JPEG, PNG, GIF or BMP, in one request.

        Raises:
            InputError: if the server has no such model or version, or what answers is not a model
                that `export` wrote.
            ConnectionError: if nobody listens, or the server has too much to do still after the
                last retry, or fails.
            TimeoutError: if there is no answer in time.
        """
        if not pictures:
            return []
        rows = self._transport.predict(pictures)
        try:
            answers = [_read_answer(row) for row in rows]
            if len(answers) != len(pictures):
                raise ValueError(f"{len(answers)} answers to {len(pictures)} pictures")
        except (TypeError, ValueError) as error:
            raise failures.not_an_export(self._url, str(error)) from error
        return answers

    def predict_many(self, pictures: Iterable[bytes], parallel: int = 8) -> Iterator[Answer]:
        """Asks about any number of pictures, and gives the answers in their order.

        Each picture is a request of its own, which the server's batching merges with others. No
        more than `2 * parallel` pictures are taken ahead of the answers that were given.

        Args:
            pictures: as of `predict`.
            parallel: requests at a time.

        Raises:
            InputError, ConnectionError, TimeoutError: as `predict`.
        """
        pending: collections.deque[concurrent.futures.Future] = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            try:
                for picture in pictures:
                    pending.append(pool.submit(self.predict, [picture]))
                    while pending and (pending[0].done() or len(pending) == 2 * parallel):
                        yield pending.popleft().result()[0]
                while pending:
                    yield pending.popleft().result()[0]
            finally:
                for future in pending:  # after an error, or when no more is asked for
                    future.cancel()

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _read_answer(outputs: Any) -> Answer:
    """One picture's outputs, by name.

    Raises:
        TypeError, ValueError: if they are not those of an exported model.
    """
    if not isinstance(outputs, Mapping):
        raise TypeError("one output without a name")
    missing = [field.name for field in dataclasses.fields(Answer) if field.name not in outputs]
    if missing:
        raise ValueError(f"without {', '.join(missing)}")
    answer = Answer(
        np.asarray(outputs["scores"], "float32"),
        list(outputs["labels"]),
        np.asarray(outputs["label_scores"], "float32"),
        np.asarray(outputs["attention_maps"], "float32"),
        outputs["status"],
    )
    if not all(isinstance(text, str) for text in [*answer.labels, answer.status]):
        raise TypeError("labels or status that are not text")
    number, maps = (len(answer.labels),), answer.attention_maps
    if answer.scores.ndim != 1 or answer.label_scores.shape != number or maps.ndim != 3:
        raise ValueError("outputs of other shapes")
    if maps.shape[:1] != number:
        raise ValueError(f"{len(maps)} maps of {len(answer.labels)} labels")
    return answer

"""TF Serving's gRPC API."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from keras_patchpu.errors import InputError
from keras_patchpu.serving import failures
from keras_patchpu.serving.model_url import ModelUrl

# gRPC takes no more.
_MOST_ATTEMPTS = 5
# A request that is larger would not be tried again; gRPC's own limit is 256 kB.
_LARGEST_RETRIED = 1 << 28


class GrpcTransport:
    """Asks one model by gRPC, without encryption. Threads may share it."""

    def __init__(self, model: ModelUrl, timeout: float, retries: int):
        try:
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise InputError(
                f"{model.text} needs tensorflow-serving-api, which is not installed: run "
                "`pip install 'keras_patchpu[serving]'` or give a http:// URL"
            ) from error
        self._model = model
        self._timeout = timeout
        self._new_request = predict_pb2.PredictRequest
        options = [("grpc.max_receive_message_length", -1)]
        if retries:
            options += [
                ("grpc.service_config", _retry_unavailable(retries)),
                ("grpc.per_rpc_retry_buffer_size", _LARGEST_RETRIED),
            ]
        self._channel = grpc.insecure_channel(model.address, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        """The outputs of the model, one dict a picture: arrays, and strings as lists or `str`.

        Raises:
            InputError, ConnectionError, TimeoutError: see `failures`.
        """
        request = self._new_request()
        request.model_spec.name = self._model.name
        request.model_spec.signature_name = "serving_default"
        if self._model.version is not None:
            request.model_spec.version.value = self._model.version
        if self._model.label is not None:
            request.model_spec.version_label = self._model.label
        request.inputs["image_bytes"].CopyFrom(
            tf.make_tensor_proto(list(pictures), tf.string, [len(pictures)])
        )
        try:
            response = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._failure(error) from error
        try:
            columns = {name: _array(proto) for name, proto in response.outputs.items()}
            return [
                {name: column[row] for name, column in columns.items()}
                for row in range(len(pictures))
            ]
        except (TypeError, ValueError, IndexError) as error:
            raise failures.not_an_export(self._model.text, str(error)) from error

    def _failure(self, error: grpc.RpcError) -> Exception:
        code, url = error.code(), self._model.text
        words = f"{code.name}: {error.details()}"
        match code:
            case grpc.StatusCode.NOT_FOUND:
                return failures.no_such_model(url, words)
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return failures.too_late(url, words)
            case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.FAILED_PRECONDITION:
                return failures.refused(url, words)
            case grpc.StatusCode.UNIMPLEMENTED:  # a server of another service
                return failures.not_an_export(url, words)
        return failures.unavailable(url, words)

    def close(self) -> None:
        self._channel.close()


def _retry_unavailable(retries: int) -> str:
    """gRPC's service config, as JSON."""
    policy = {
        "maxAttempts": min(1 + retries, _MOST_ATTEMPTS),
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})


def _array(proto) -> np.ndarray:
    """One output, strings decoded."""
    array = tf.make_ndarray(proto)
    if array.dtype == object:
        array = np.char.decode(array.astype(bytes), "utf-8", "replace").astype(object)
    return array

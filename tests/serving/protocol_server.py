"""A small server for tests that speaks TF Serving's two protocols. It is not TF Serving.

    python tests/serving/protocol_server.py SAVED_MODEL_DIR --name NAME

Serves the SavedModel in SAVED_MODEL_DIR, `.../<version>`, as model NAME by REST and gRPC on two
free ports, which it prints as one line of JSON, `{"rest": 1234, "grpc": 1235}`. It runs until it is
killed. REST is as in tensorflow/serving, model_servers/http_rest_api_handler.cc and
util/json_tensor.cc: the row format, base64, and the words of errors; gRPC is by the official
protos. There is no batching.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import sys
import threading
import time
import urllib.parse

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

LABEL = "stable"  # of the version that is served
CODES = {code.value[0]: code for code in grpc.StatusCode}
HTTP_STATUS = {  # http_server.cc, ToHTTPStatusCode
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict)?")


class Refusal(Exception):
    """An error that the client gets: a code and words."""

    def __init__(self, code, words):
        super().__init__(words)
        self.code, self.words = grpc.StatusCode[code], words


class Servable:
    """The model, and what the tests want to go wrong.

    `refuse`: as many of the next requests are refused as if too many were queued.
    `delay`: seconds that each request takes longer.
    """

    def __init__(self, path, name):
        self.name, self.version = name, int(pathlib.Path(path).name)
        self.signatures = tf.saved_model.load(str(path)).signatures
        self.refuse, self.delay, self.requests = 0, 0.0, 0
        self.lock = threading.Lock()

    def signature(self, spec, missing):
        """The signature that a ModelSpec asks for."""
        wanted = f"Latest({spec.name})"
        if spec.HasField("version"):
            wanted = f"Specific({spec.name}, {spec.version.value})"
        if spec.version_label not in ("", LABEL):
            words = f"Unrecognized servable version label: {spec.version_label}"
            raise Refusal("INVALID_ARGUMENT", words)
        if wanted not in (f"Latest({self.name})", f"Specific({self.name}, {self.version})"):
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")
        name = spec.signature_name or "serving_default"
        if name not in self.signatures:
            raise Refusal(missing[0], missing[1].format(name))
        return self.signatures[name]

    def run(self, signature, inputs):
        with self.lock:
            self.requests += 1
            full, self.refuse = self.refuse > 0, max(0, self.refuse - 1)
        if full:
            words = "The batch scheduling queue to which this task was submitted is full"
            raise Refusal("UNAVAILABLE", words)
        time.sleep(self.delay)
        try:
            outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
        except tf.errors.OpError as error:
            raise Refusal(CODES[error.error_code].name, error.message) from error
        return {name: value.numpy() for name, value in outputs.items()}


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """predict_util.cc"""

    def __init__(self, servable):
        self.servable = servable

    def Predict(self, request, context):  # noqa: N802  the protocol's name
        missing = "FAILED_PRECONDITION", 'Serving signature key "{}" not found.'
        try:
            signature = self.servable.signature(request.model_spec, missing)
            expected = set(signature.structured_input_signature[1])
            if set(request.inputs) != expected:
                sent = ",".join(sorted(set(request.inputs) - expected))
                required = ",".join(sorted(expected - set(request.inputs)))
                words = f"Sent extra: {{{sent}}}. Missing but required: {{{required}}}."
                raise Refusal("INVALID_ARGUMENT", words)
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            outputs = self.servable.run(signature, inputs)
        except Refusal as refusal:
            context.abort(refusal.code, refusal.words)
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            proto = response.outputs[name]
            proto.dtype = tf.as_dtype(value.dtype).as_datatype_enum
            for size in value.shape:
                proto.tensor_shape.dim.add(size=size)
            # As values and not as bytes, which is what TF Serving does.
            field = proto.string_val if value.dtype == object else proto.float_val
            field.extend(value.ravel().tolist())
        return response


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    servable: Servable

    def do_POST(self):  # noqa: N802  the library's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(lambda: self.predict(body))

    def do_GET(self):  # noqa: N802
        self.answer(self.status)

    def answer(self, work):
        try:
            status, answer = 200, work()
        except Refusal as refusal:
            status, answer = HTTP_STATUS.get(refusal.code, 500), {"error": refusal.words}
        content = json.dumps(answer).encode()
        # The client may have given up.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

    def model_spec(self, signature_name, predict):
        match = PATH.fullmatch(self.path)
        if not match or bool(match[4]) != predict:
            raise Refusal("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match[1]))
        spec.signature_name = signature_name
        if match[2]:
            spec.version.value = int(match[2])
        if match[3]:
            spec.version_label = urllib.parse.unquote(match[3])
        return spec

    def status(self):
        self.servable.signature(self.model_spec("", False), None)
        state = {"version": str(self.servable.version), "state": "AVAILABLE"}
        state["status"] = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [state]}

    def predict(self, body):
        body = json.loads(body)
        missing = "INVALID_ARGUMENT", 'Serving signature name: "{}" not found in signature def'
        spec = self.model_spec(body.get("signature_name", ""), True)
        signature = self.servable.signature(spec, missing)
        expected = set(signature.structured_input_signature[1])
        columns = {name: [] for name in expected}
        for number, row in enumerate(body["instances"]):
            if len(expected) == 1 and (not isinstance(row, dict) or set(row) == {"b64"}):
                row = {name: row for name in expected}  # the only input needs no name
            if set(row) != expected:
                words = f"Failed to process element: {number} of 'instances' list. JSON object: "
                words += f"{json.dumps(row)} keys must be equal to: {','.join(expected)}"
                raise Refusal("INVALID_ARGUMENT", words)
            for name, value in row.items():
                columns[name].append(decoded(value))
        outputs = self.servable.run(signature, columns)
        rows = [
            {name: as_json(value[number]) for name, value in outputs.items()}
            for number in range(len(body["instances"]))
        ]
        if len(outputs) == 1:
            rows = [next(iter(row.values())) for row in rows]
        return {"predictions": rows}

    def log_message(self, *_):
        pass


def decoded(value):
    """An object whose only key is "b64" is bytes."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"])
    return value


def as_json(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [as_json(part) for part in value]
    return value.tolist()


class RestServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@contextlib.contextmanager
def serve(path, name):
    """Serves while the context lasts; gives the servable, the REST port and the gRPC port."""
    servable = Servable(path, name)
    handler = type("Handler", (RestHandler,), {"servable": servable})
    rest = RestServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=rest.serve_forever, args=(0.05,))
    thread.start()
    pool = concurrent.futures.ThreadPoolExecutor(16)
    limits = [("grpc.max_receive_message_length", -1)]
    by_grpc = grpc.server(pool, options=limits)
    service = PredictionService(servable)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, by_grpc)
    grpc_port = by_grpc.add_insecure_port("127.0.0.1:0")
    by_grpc.start()
    try:
        yield servable, rest.server_port, grpc_port
    finally:
        by_grpc.stop(grace=None).wait()
        pool.shutdown()
        rest.shutdown()
        rest.server_close()
        thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("saved_model")
    parser.add_argument("--name", required=True)
    options = parser.parse_args()
    with serve(options.saved_model, options.name) as (_, rest_port, grpc_port):
        print(json.dumps({"rest": rest_port, "grpc": grpc_port}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

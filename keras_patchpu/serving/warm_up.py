"""Requests that TF Serving replays when it loads a version, before callers' requests reach it."""

import importlib.util
import pathlib

import tensorflow as tf

# Where TF Serving looks for them, inside a version.
WARM_UP_FILE = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")


def write_warm_up(version: pathlib.Path, model_name: str, image_size: int) -> None:
    """Writes one request to each signature into a SavedModel.

    The first run of a signature, which optimizes its graph, takes several times as long as the
    next. Without the package `tensorflow-serving-api`, which has the format, nothing is written:
    the version then serves as well, and its first caller waits.

    Args:
        version: the directory of the SavedModel.
        model_name: by which it is going to be served.
        image_size: S of `serve_images`.
    """
    if importlib.util.find_spec("tensorflow_serving") is None:
        return
    from tensorflow_serving.apis import prediction_log_pb2

    # Larger than the model's images, as most pictures are, so that it is resized too.
    picture = tf.io.encode_jpeg(tf.zeros((2 * image_size, 2 * image_size, 3), tf.uint8)).numpy()
    inputs = {
        "serving_default": ("image_bytes", tf.make_tensor_proto([picture])),
        "serve_images": ("images", tf.make_tensor_proto(0.0, shape=(1, image_size, image_size, 3))),
    }
    path = version / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, (name, tensor) in inputs.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            request.inputs[name].CopyFrom(tensor)
            records.write(log.SerializeToString())

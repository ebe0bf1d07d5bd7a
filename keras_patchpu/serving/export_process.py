"""Export of a model of another backend of Keras, in a process that runs on TensorFlow."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras

from keras_patchpu.errors import InputError

_ERRORS = {"InputError": InputError, "ValueError": ValueError}


def export_in_process(model: keras.Model, **arguments) -> pathlib.Path:
    """What `export(model, **arguments)` does and raises, by way of the model's file.

    Raises:
        RuntimeError: the process failed, as where the model's class is not of `keras_patchpu`.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",  # this process has the memory of the GPU already
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        finished = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import main; main()", path],
            input=json.dumps(arguments),
            env=environment,
            capture_output=True,
            text=True,
        )
    if finished.returncode:
        raise RuntimeError(f"The export in a process of its own failed:\n{finished.stderr}")
    result = json.loads(finished.stdout.splitlines()[-1])
    if "error" in result:
        raise _ERRORS[result["error"]](result["message"])
    return pathlib.Path(result["path"])


def main() -> None:
    """Exports the `.keras` file that is named by the arguments on standard input; prints where."""
    from keras_patchpu.serving.export import export

    model = keras.saving.load_model(sys.argv[1], safe_mode=True)
    try:
        result = {"path": str(export(model, **json.load(sys.stdin)))}
    except tuple(_ERRORS.values()) as error:
        result = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(result))

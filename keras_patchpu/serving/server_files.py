"""What TF Serving is started with: two files beside the versions of a model, and the command."""

import json
import os
import pathlib
import shlex
import urllib.parse

from keras_patchpu.whole_file import replaced_whole

# The newest server there is for TensorFlow 2.21, whose own has not been released; the exported
# graphs are of operations that are older than both.
SERVER_IMAGE = "tensorflow/serving:2.20.0"

MODELS_CONFIG = """\
model_config_list {{
  config {{
    name: {name}
    base_path: {base_path}
    model_platform: "tensorflow"
  }}
}}
"""

# A caller waits 5 ms at most for others to share a batch with.
BATCHING = """\
max_batch_size { value: 16 }
batch_timeout_micros { value: 5000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 2 }
"""


def write_server_files(directory: str | os.PathLike) -> None:
    """Writes `models.config` and `batching.txt` into the directory of a model, once.

    Files that are there stay as they are: they may have been edited. TF Serving looks at the
    numbered directories only.

    Args:
        directory: of the model, with its versions in it.

    Raises:
        InputError: they cannot be written.
    """
    directory = pathlib.Path(directory).resolve()
    name, base_path = (
        json.dumps(text, ensure_ascii=False) for text in (directory.name, _in_container(directory))
    )
    contents = {
        "models.config": MODELS_CONFIG.format(name=name, base_path=base_path),
        "batching.txt": BATCHING,
    }
    for file, text in contents.items():
        if not (directory / file).exists():
            with replaced_whole(directory / file, "see to the disk") as unfinished:
                unfinished.write_text(text, encoding="utf-8")


def how_to_serve(directory: str | os.PathLike) -> str:
    """Two shell commands, a line each: one serves an exported model, the other asks it.

    The server listens on port 8500 for gRPC and on port 8501 for REST.

    Args:
        directory: of the model, which `export` has written to.
    """
    directory = pathlib.Path(directory).resolve()
    base_path = _in_container(directory)
    arguments = [
        *("docker", "run", "--rm", "-p", "8500:8500", "-p", "8501:8501"),
        *("-v", f"{directory}:{base_path}:ro", SERVER_IMAGE),
        f"--model_config_file={base_path}/models.config",
        "--enable_batching=true",
        f"--batching_parameters_file={base_path}/batching.txt",
    ]
    url = f"http://localhost:8501/v1/models/{urllib.parse.quote(directory.name)}"
    ask = ["python", "recipes/query.py", "PICTURE", "--url", url]
    return f"server    {shlex.join(arguments)}\nask       {shlex.join(ask)}"


def _in_container(directory):
    return f"/models/{directory.name}"

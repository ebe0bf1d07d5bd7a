"""Runs a notebook in another folder than its own.

    python tests/examples/execute_notebook.py

runs `examples/own_data.ipynb` as it is, some minutes, and writes its outputs into it.
"""

import os
import pathlib
import sys
import tempfile

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "own_data.ipynb"


def execute(notebook: nbformat.NotebookNode, folder: str | os.PathLike) -> None:
    """Runs all cells in a folder; what they show goes into the notebook.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    client = nbclient.NotebookClient(
        notebook,
        timeout=3600,
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
        record_timing=False,
        # What TensorFlow's C++ says of this computer goes to the terminal.
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})


def main() -> int:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    metadata = dict(notebook.metadata)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, folder)
    notebook.metadata.update(metadata)  # not those of this Python
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())

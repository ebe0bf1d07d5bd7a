"""`examples/own_data.ipynb`: what is committed of it, and that it runs."""

import base64
import importlib
import pathlib
import re
import sys

import nbformat
import pytest

from keras_patchpu import serving, training

TESTS = pathlib.Path(__file__).parents[1]
# A file's name from the root of a disk or from a home: not "1/6" or "images/s".
ABSOLUTE_PATH = re.compile(r"(?<![\w.)-])(?:/[\w.]|~/|file:/|[A-Za-z]:\\)")


def import_script(folder, name):
    path = str(TESTS / folder)
    if path not in sys.path:
        sys.path.insert(0, path)  # as Python does for a script
    return importlib.import_module(name)


execute_notebook = import_script("examples", "execute_notebook")


@pytest.fixture
def notebook():
    return nbformat.read(execute_notebook.NOTEBOOK, as_version=4)


def code_cells(notebook):
    """The cell that makes the embedded data, and the user's."""
    first, *others = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.metadata["tags"] == ["embedded-data"]
    assert not any("tags" in cell.metadata for cell in others)
    return first, others


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(notebook, kind):
    """What is shown as a MIME type."""
    return [output.data[kind] for output in outputs(notebook) if kind in output.get("data", {})]


def answered(notebook):
    """The labels that are printed, and their scores in percent."""
    (cell,) = (cell for cell in code_cells(notebook)[1] if ".predict(" in cell.source)
    lines = cell.outputs[0].text.splitlines()
    rows = [re.fullmatch(r"(\S+) +(\d+\.\d)%", line) for line in lines]
    return [row[1] for row in rows], [float(row[2]) for row in rows]


def code_block(notebook, language):
    """The one block of a language in the notebook's text."""
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    (block,) = re.findall(rf"```{language}\n(.*?)```", texts, re.DOTALL)
    return block


def check_outputs(notebook):
    streams = [output for output in outputs(notebook) if output.output_type == "stream"]
    assert {stream.name for stream in streams} == {"stdout"}
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    texts = [stream.text for stream in streams]
    texts += shown(notebook, "text/plain") + shown(notebook, "text/markdown")
    for text in texts:
        assert not ABSOLUTE_PATH.search(text), text
        assert "INFO" not in text and "Warning" not in text and "\r" not in text, text
    assert any("LRAP" in text for text in texts)
    labels, _ = answered(notebook)
    assert len(labels) == 5 and set(labels) < set("0123456789")
    (picture,) = shown(notebook, "image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_it_was_run_from_top_to_bottom(notebook):
    nbformat.validate(notebook)
    first, others = code_cells(notebook)
    counts = [cell.execution_count for cell in (first, *others)]
    assert counts == list(range(1, len(counts) + 1))
    check_outputs(notebook)
    assert execute_notebook.NOTEBOOK.stat().st_size < 200_000


def test_a_user_writes_less_than_20_lines(notebook):
    _, others = code_cells(notebook)
    lines = [line.strip() for cell in others for line in cell.source.splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) < 20


def test_a_server_is_started_as_the_library_says(notebook):
    directory = pathlib.Path("own_data", "models", "pictures-wn-0")
    server, ask = serving.how_to_serve(directory).splitlines()
    command = server.removeprefix("server").replace(str(pathlib.Path.cwd()), "$PWD").split()
    assert code_block(notebook, "bash").replace("\\\n", " ").split() == command
    assert ask.split()[-1] in code_block(notebook, "python")


@pytest.mark.long
def test_it_runs(notebook, tmp_path):
    first, _ = code_cells(notebook)
    assert first.source.count("8000") == 1
    first.source = first.source.replace("8000", "60")
    execute_notebook.execute(notebook, tmp_path)

    check_outputs(notebook)
    (link,) = shown(notebook, "text/markdown")
    report = re.fullmatch(r"\[(.*)\]\(<\1>\)", link)[1]
    assert "mAP cannot be known" in (tmp_path / report).read_text(encoding="utf-8")

    # A server that speaks the protocol gives the same answer, asked as the notebook says.
    folder = tmp_path / "own_data"
    run = training.folder_run(folder / "pictures", folder / "labels.csv")
    saved_model = folder / "models" / "pictures-wn-0" / "1"
    protocol_server = import_script("serving", "protocol_server")
    with protocol_server.serve(saved_model, "pictures-wn-0") as (_, port, _):
        names = {"serving": serving, "picture": pathlib.Path(run.test.images[0])}
        ask = code_block(notebook, "python")
        exec(ask.replace("localhost:8501", f"localhost:{port}"), names)
    labels, scores = answered(notebook)
    assert names["answer"].labels == labels
    assert 100 * names["answer"].label_scores == pytest.approx(scores, abs=0.06)

"""No line of the package, the recipes or the benchmarks runs code out of a file that it reads."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    file
    for folder in ("keras_patchpu", "recipes", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
)
# They run code that is in a file, or read it with entities.
MODULES = {
    *("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "jsonpickle", "shelve"),
    *("marshal", "yaml", "ruamel", "code", "xml.sax", "xml.dom", "lxml"),
}
FUNCTIONS = {"eval", "exec", "compile", "__import__", "input"}
METHODS = {
    *("enable_unsafe_deserialization", "system", "popen", "mktemp", "read_pickle", "to_pickle"),
    *("load_library", "load_op_library", "py_function", "extractall", "unpack_archive"),
}
# An argument that may have this value only.
ARGUMENTS = {
    **{"allow_pickle": False, "shell": False, "safe_mode": True, "verify": True},
    **{"weights_only": True, "trust_remote_code": False, "autoescape": True},
}


def faults(text):
    """What is wrong with a program, a line each."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{name}" for name in names)]
            for name in names:
                parts = name.split(".")
                if {".".join(parts[: end + 1]) for end in range(len(parts))} & MODULES:
                    yield f"line {node.lineno}: imports {name}"
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in FUNCTIONS:
                yield f"line {node.lineno}: calls {called.id}"
            if isinstance(called, ast.Attribute) and called.attr in METHODS:
                yield f"line {node.lineno}: calls {called.attr}"
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            for name in given.keys() & ARGUMENTS.keys():
                value = given[name]
                if not (isinstance(value, ast.Constant) and value.value is ARGUMENTS[name]):
                    yield f"line {node.lineno}: {name}={ast.unparse(value)}"
            # Keras's own default is left to none: that of Keras 2 was another.
            of_keras = isinstance(called, ast.Attribute) and ast.unparse(called).startswith(
                "keras."
            )
            if of_keras and called.attr == "load_model" and "safe_mode" not in given:
                yield f"line {node.lineno}: load_model without safe_mode=True"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_runs_what_it_reads(file):
    assert list(faults(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import xml.dom.minidom",
        "from xml import sax",
        "from pickle import loads as json",
        "eval(text)",
        "os.system(command)",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=flag)",
        "subprocess.run(command, shell=True)",
        "keras.models.load_model(path)",
        "keras.saving.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "torch.load(file, weights_only=False)",
        "jinja2.Environment(autoescape=False)",
        "zipfile.ZipFile(file).extractall()",
    ],
)
def test_what_would_is_found(text):
    assert list(faults(text))


def test_honest_lines_are_not():
    assert len(FILES) > 100
    text = (
        "import json\nmodel.eval()\nkeras.saving.load_model(path, safe_mode=True)\nre.compile('a')"
    )
    assert list(faults(text)) == []

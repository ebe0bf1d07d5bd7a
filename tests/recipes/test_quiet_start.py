"""No script prints TensorFlow's start-up messages."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = [
    path
    for folder in ("recipes", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
    if "argparse.ArgumentParser(" in path.read_text(encoding="utf-8")
]
TENSORFLOW = {"keras", "keras_patchpu", "tensorflow"}


def imported(path):
    """The modules that a script imports at once, those of Python left out, in their order."""
    modules = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            modules += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module.split(".")[0])
    return [module for module in modules if module not in sys.stdlib_module_names]


def test_the_scripts_are_found():
    assert {"train_voc", "compare", "soak", "ablations"} <= {path.stem for path in SCRIPTS}
    assert len(SCRIPTS) >= 20
    quiet = [path for path in SCRIPTS if "quiet_start" in imported(path)]
    assert len(quiet) >= 17


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_comes_before_all_that_imports_tensorflow(path):
    modules = imported(path)
    beside = {other.stem for other in path.parent.glob("*.py")}
    # Some benchmarks start others, or read what they wrote, and do without all of these.
    if (TENSORFLOW | beside) & set(modules):
        assert modules[0] == "quiet_start"


@pytest.fixture
def run(tmp_path):
    """Runs Python as from the user's shell; gives its two outputs."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


# Of all in a folder in one process: to import TensorFlow takes seconds.
HELP_OF_EACH = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0, path
"""


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["recipes", "benchmarks"])
def test_help_and_nothing_else(run, folder):
    paths = [path for path in SCRIPTS if path.parent.name == folder]
    printed, errors = run("-c", HELP_OF_EACH, ROOT / folder, *paths)
    assert errors == ""
    for path in paths:
        assert f"usage: {path.name} " in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "is_quiet"),
    [
        ({}, True),
        ({"TF_CPP_MIN_LOG_LEVEL": "3"}, True),
        ({"TF_CPP_MIN_LOG_LEVEL": "2"}, True),
        ({"TF_CPP_MIN_LOG_LEVEL": "0"}, False),
    ],
)
def test_messages_come_to_who_asks_for_them(run, environment, is_quiet):
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'recipes')!r}); import quiet_start"
    code += "; import tensorflow; tensorflow.get_logger().warning('traced too often')"
    _, errors = run("-c", code, **environment)
    assert (errors == "") == is_quiet
    assert ("traced too often" in errors) == (not is_quiet)


def test_what_python_says_while_tensorflow_is_imported_is_told(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no such processor')\n")
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'recipes')!r})\n"
    code += "try:\n    import quiet_start\nexcept ImportError as error:\n    sys.exit(str(error))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and done.stderr == "no such processor\n"

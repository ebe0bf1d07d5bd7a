"""The programs of `benchmarks/` as modules."""

import importlib
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def import_benchmark():
    """Imports a file of `benchmarks/`: `import_benchmark("ablations")`."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module

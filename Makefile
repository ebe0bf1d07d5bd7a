# From a fresh clone, with Python 3.11 and nothing else:
#   make demo    sets everything up, then trains, measures and exports on the embedded data
#   make test    sets everything up, then runs the tests
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/python recipes/train_voc.py --data digits

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -m "not slow"
	$(BIN)/python -m pytest -q -m slow

lint: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The mark is written last, so that an installation cut off half-way is made again.
.venv/installed: setup.py
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

clean:
	rm -rf .venv build *.egg-info

# From a fresh clone, with Python 3.11 and nothing else:
#   make demo    sets everything up, then trains, measures and exports on the embedded data
#   make test    sets everything up, then runs the tests, but for those that take longest
#   make long    runs those, too, and on each backend of Keras what runs there: two hours.
#                PyTorch has to be installed: .venv/bin/pip install torch
PYTHON ?= python3
BIN := .venv/bin
# The tests of a file share what is made for them, so that a file stays in one process.
ON_BOTH_CORES := -q --numprocesses 2 --dist loadfile

# JAX compiles for each size of an array, of which the tests with Hypothesis draw many, and for each
# model that is trained, of which the resumed runs have three. The chunks take it minutes.
QUICK_WITH_JAX := -m "not slow and not long and not hypothesis" -k "not resumed and not in_chunks" \
	tests/layers tests/losses tests/metrics
ON_EACH_BACKEND := tests/layers tests/losses tests/metrics tests/models

.PHONY: demo test long lint lock clean

demo: .venv/installed
	$(BIN)/python recipes/train_voc.py --data digits

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(ON_BOTH_CORES) -m "not slow and not long"
	$(BIN)/python -m pytest $(ON_BOTH_CORES) -m "slow and not long"
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(ON_BOTH_CORES) $(QUICK_WITH_JAX)

long: .venv/installed
	$(BIN)/python -m pytest $(ON_BOTH_CORES) -m long
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(ON_BOTH_CORES) -m "not long" $(ON_EACH_BACKEND)
	KERAS_BACKEND=torch $(BIN)/python -m pytest $(ON_BOTH_CORES) -m "not long" $(ON_EACH_BACKEND)

lint: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The mark is written last, so that an installation cut off half-way is made again.
.venv/installed: setup.py constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

# The newest versions that setup.py allows, for constraints.txt; see docs/security.md.
lock:
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check --editable ".[test]"
	build/lock/bin/pip freeze --exclude-editable > build/constraints.txt
	(echo "# Written by make lock: the version of everything that make test installs."; \
		cat build/constraints.txt) > constraints.txt
	rm -rf build

clean:
	rm -rf .venv build *.egg-info

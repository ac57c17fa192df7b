# make run    installs what is needed into .venv and classifies the shipped digits with the shipped net
# make test   the same, then type checks, lint and the test suite
# make conformance   Caffe2's own tests over caffe2ops (CONFORMANCE_ARGS=--accept writes anew what passes)
# make lint, make docs, make goldens: parts of it, and what regenerates committed files (goldens need the real Caffe2)

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test conformance lint docs goldens clean

run: $(STAMP)-run
	$(BIN)/python examples/digits/classify.py

test: $(STAMP)-dev lint
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

conformance: .venv-conformance/.installed
	.venv-conformance/bin/python -m tests.conformance.run $(CONFORMANCE_ARGS)

.venv-conformance/.installed: pyproject.toml tests/conformance/requirements.txt
	$(PYTHON) -m venv .venv-conformance
	.venv-conformance/bin/python -m pip install --quiet --upgrade pip
	.venv-conformance/bin/python -m pip install --quiet --editable . --requirement tests/conformance/requirements.txt
	touch $@

lint: $(STAMP)-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)-dev
	$(BIN)/ruff format .
	$(BIN)/python -m caffe2ops.generated write

goldens: $(STAMP)-dev
	$(BIN)/python -m tests.golden.record

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

$(STAMP)-run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(STAMP)-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-conformance

# make run    installs what is needed into .venv and classifies the shipped digits with the shipped net
# make test   the same, then type checks, lint and the test suite
# make lint, make docs, make goldens: parts of it, and what regenerates committed files (goldens need the real Caffe2)

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test lint docs goldens clean

run: $(STAMP)-run
	$(BIN)/python examples/digits/classify.py

test: $(STAMP)-dev lint
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

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
	rm -rf .venv

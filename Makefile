# Two commands do everything on a machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: run test lint docs clean

run: .venv/run.stamp ## train the chapter's network on the spiral, and draw it
	$(BIN)/downslope train spiral --data-seed chapter --optimizer sgd --learning-rate 1 --decay 1e-3 --momentum 0.9 \
		--epochs 10001 --plot spiral.png

test: .venv/test.stamp ## all tests
	$(BIN)/python -m pytest

lint: .venv/lint.stamp ## style, types, who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/docs.stamp ## the documentation, into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html || { rm -rf docs/_build; exit 1; }

clean: ## remove everything that was made here
	rm -rf .venv dist build spiral.png docs/_build docs/_pictures docs/_players docs/optimizers docs/api docs/examples \
		docs/schedules.rst .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Downslope needs Python 3.11 or newer: make PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/%.stamp: requirements/%.txt requirements/run.txt requirements/test.txt pyproject.toml | .venv/bin/python
	@echo "Installing pinned versions into .venv (requirements/$*.txt) ..."
	$(PIP) install -r requirements/$*.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

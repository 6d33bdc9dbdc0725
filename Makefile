# make demo | test | check | ui | bench: each does its own set-up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test processes: one for each processor that may be used, two at least.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(max(2, len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 2))(0))))')
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test check lint ui bench constraints clean

help:
	@echo "make demo   the sample company, from metered usage to delivered FOCUS files, in data/"
	@echo "make ui     the Dagster UI on the demo's lake"
	@echo "make test   every test that needs no outside server"
	@echo "make check  lint, types and import contracts"
	@echo "make bench  the benchmarks"

# What the product needs. Rebuilt when the pins change.
$(VENV)/.installed: constraints-pip.txt constraints.txt pyproject.toml
	@echo "Setting up $(VENV) (a minute or two, once)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  (echo "focus_assets needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12" && exit 1)
	@$(PYTHON) -m venv $(VENV)
	@# The pip that comes with an older Python takes more than twice as long for the rest.
	@$(PIP) install --require-hashes -r constraints-pip.txt
	@$(PIP) install --no-compile --require-hashes -r constraints.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# What its tests need on top.
$(VENV)/.installed-dev: constraints-dev.txt $(VENV)/.installed
	@echo "Adding the test tools to $(VENV)"
	@$(PIP) install --no-compile --require-hashes -r constraints-dev.txt
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/focus-assets demo

ui: $(VENV)/.installed
	@$(BIN)/focus-assets ui

test: $(VENV)/.installed-dev
	@# Each process keeps one processor busy: Polars's own threads would only take turns with the other processes.
	@POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not referee"

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks

# New pins after pyproject.toml changed. No index address is written.
constraints: $(VENV)/.installed-dev
	@$(PIP) install uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-find-links --no-strip-extras pyproject.toml --extra dev -o constraints-dev.txt
	@echo "pip>=25.1" | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-find-links --no-strip-extras - -o constraints-pip.txt
	@echo "setuptools>=77" | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-find-links --no-strip-extras pyproject.toml - -c constraints-dev.txt -o constraints.txt

clean:
	rm -rf $(VENV) data build *.egg-info

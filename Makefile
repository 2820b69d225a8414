# Everything runs in .venv, which is created on first use from Python 3.11+. `make` alone lists the commands.
#
# Where the package index offers several builds of torch, choose one with extra pip arguments, for example
#   make demo PIP_TORCH_ARGS="--index-url <URL of the CPU wheels that pytorch.org names>"
# Arguments for pytest: make test PYTEST_ARGS="-n 4 tests/store"

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PIP_TORCH_ARGS ?=
PYTEST_ARGS ?=
PORT ?=
DATASET ?=
TIMM ?=
SEED ?= 1,2,3

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-compile -c constraints.txt
TORCH_INSTALLED := .venv/.torch
TORCH_COMPILED := .venv/.torch-compiled
PACKAGES := .venv/.packages
PAGE_RUNTIME := .venv/.page-runtime
INSTALLED := .venv/.installed
TORCH := $(shell grep '^torch==' constraints.txt)

# What measures response times runs first and alone. PYTEST_ARGS may select tests of one kind only: pytest's exit code 5,
# nothing was selected, is a failure if neither run had a test.
define long_tests
@alone=0; $(BIN)/python -m pytest -q -m "long and alone and $(1)" $(PYTEST_ARGS) || alone=$$?; \
case $$alone in 0|5) ;; *) exit $$alone ;; esac; \
others=0; $(BIN)/python -m pytest -q -m "long and not alone and $(1)" -n 2 $(PYTEST_ARGS) || others=$$?; \
if [ $$others = 5 ]; then exit $$alone; fi; exit $$others
endef

.PHONY: help
help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED)  ## search a network for photos of clothes, download its bundle and verify it; DATASET=digits: for digits
	@$(BIN)/python -m cli.demo $(if $(DATASET),--dataset $(DATASET))

.PHONY: up
up: $(INSTALLED)  ## start the service on this machine: broker, migrations, one worker, API; Ctrl-C stops everything
	@$(BIN)/autonl up

.PHONY: test
test: $(INSTALLED)  ## run the everyday tests, on real servers installed from wheels; the dearest are in make reliability
	$(BIN)/python -m pytest -q -m "not long and not browser" $(PYTEST_ARGS)

.PHONY: test-browser
test-browser: $(INSTALLED)  ## run the tests of the web page in Chromium; CHROMIUM=/path/to/chromium names one
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -q -m "browser and not long" $(PYTEST_ARGS) tests/browser

.PHONY: test-browser-long
test-browser-long: $(INSTALLED)  ## run them all: also every view in all combinations of width and colours
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -q -m browser $(PYTEST_ARGS) tests/browser

.PHONY: reliability
reliability: $(INSTALLED)  ## run the long tests: the dearest ones of every part, the fault cases of docs/reliability.md on a whole service, API fuzzing
	$(call long_tests,not repeated and not browser)

.PHONY: reliability-long
reliability-long: $(INSTALLED)  ## repeat some long tests with more of the same: kills, requests, seeds of chaos
	$(call long_tests,repeated and not browser)

.PHONY: chaos
chaos: $(INSTALLED)  ## one seeded run of many faults at once; SEED=7 selects another run
	CHAOS_SEEDS=$(SEED) $(BIN)/python -m pytest -q -s tests/reliability/test_chaos.py

.PHONY: mutants
mutants: $(INSTALLED)  ## remove each safeguard in turn from a copy of the code; the tests must fail
	@$(BIN)/python -m tests.reliability.mutants

.PHONY: check
check: $(PACKAGES)  ## check format, lint, types and import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: fmt
fmt: $(PACKAGES)  ## format, and apply automatic lint fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: install
install: $(INSTALLED)  ## install everything into .venv, as the other commands do on first use

.PHONY: page-runtime
page-runtime:  ## install what the web page computes predictions with: ONNX Runtime Web, by npm
	@cd api/page_runtime && npm ci --no-progress && npm run --silent files

.PHONY: bench
bench: $(INSTALLED)  ## run the benchmarks; each prints machine, method, medians and ratios
	@$(BIN)/python -m benchmarks

.PHONY: bench-peers
bench-peers: $(INSTALLED)  ## compare with code of others, which you give: PORT=/path/to/port TIMM=/path/to/site
	@$(BIN)/python -m benchmarks.peers --port "$(PORT)" --timm "$(TIMM)"

# The stamps are written last, so the next `make` continues an interrupted installation. An old pip, which comes with
# Python, takes twice as long as a new one to choose among all files of all packages.
$(TORCH_INSTALLED): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
	    for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	        if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "AutoNL needs Python 3.11 or newer; $${PYTHON:-python3} is: $$($${PYTHON:-python3} --version 2>&1 || true)." \
	            "Install it, or give its path: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	    fi; \
	    $$found -m venv .venv; \
	fi
	@echo "Installing pinned packages into .venv (about 350 MB to download with the CPU build of torch; takes some minutes) ..."
	@$(PIP) -U pip
	@$(PIP) '$(TORCH)' $(PIP_TORCH_ARGS)
	@touch $@

$(PACKAGES): $(TORCH_INSTALLED)
	@$(PIP) -e '.[worker,dev]'
	@touch $@

# pip uses one core. With `make -j 2`, what does not wait for it is done beside it; files that are no Python are no error.
$(TORCH_COMPILED): $(TORCH_INSTALLED)
	@$(BIN)/python -W ignore -m compileall -qq .venv/lib/python*/site-packages/torch || true
	@touch $@

$(PAGE_RUNTIME): $(TORCH_INSTALLED) api/page_runtime/package-lock.json
	@if ! command -v npm >/dev/null; then \
	    echo "Predictions in the web page are left out, because npm is not installed; later: make page-runtime"; \
	elif ! $(MAKE) -s page-runtime >/dev/null; then \
	    echo "Predictions in the web page are left out, because npm could not install them; later: make page-runtime"; \
	fi
	@touch $@

# What checks do not need.
$(INSTALLED): $(PACKAGES) $(TORCH_COMPILED) $(PAGE_RUNTIME)
	@$(BIN)/python -W ignore -m compileall -qq -j 0 -x '/tests/' .venv/lib || true
	@$(BIN)/python -m autonl_core.nn.kernels
	@touch $@

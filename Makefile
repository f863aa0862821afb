# Needs python3.11, make and git; everything else goes into .venv. `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
RUN := $(VENV)/.run-stamp
DEV := $(VENV)/.dev-stamp
# What the hub runs on and nothing else: structlog loads what is there to colour tracebacks, 8 MB of it.
BENCH := var/bench/bin/python
# pip's own report is long; one short line a package shows that it moves. Errors go to stderr as they are.
INSTALL := $(PY) -m pip install --disable-pip-version-check --prefer-binary --progress-bar off
SHORT := sed -u -n 's/^Collecting \([^ ;]*\).*/    \1/p'

.PHONY: help setup demo test check e2e peer bench guard audit docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(DEV)  ## make .venv with everything that the tests and checks need

demo: $(RUN)  ## play the flows with simulated vendors and tell their story (FLOW=name plays one, KEEP=1 leaves it running, ERP=tryton takes a real ERP)
	@$(PY) -m app.cli demo $(or $(FLOW),$(ERP)) $(if $(KEEP),--keep)

# Compiled files are kept even where the caller's shell says otherwise: each process would compile all tests anew.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(DEV)  ## all fast tests: real Redis, SQLite, and PostgreSQL where its binaries are found
	@$(PY) -m pytest -n 2

check: $(DEV)  ## ruff, mypy, and the hub's own check of the example site
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(PY) -m app.cli --env .env.example check
	@$(PY) -m app.cli --env .env.example test

e2e: $(DEV)  ## the slow suites: real processes, killed and flushed
	@$(PY) -m pytest -m "slow or e2e or chaos"

peer: $(DEV)  ## the suites against a real ERP, which is installed from PyPI into var/peer
	@$(PY) -m pytest -m peer

bench: $(BENCH)  ## measure beside a yardstick; prints machine, settings and figures (ARGS="--quick" takes less)
	@$(BENCH) -m bench $(ARGS)

guard: $(DEV)  ## a short bench: fails when the hub fell behind the yardstick, or lost an event
	@$(PY) -m bench --guard

audit: $(DEV)  ## look everything installed up among the known faults of packages (asks pypi.org)
	@test -x var/audit/bin/pip-audit || { $(PYTHON) -m venv var/audit && var/audit/bin/python -m pip install -q pip-audit==2.10.1; }
	@PIPAPI_PYTHON_LOCATION=$(PY) var/audit/bin/pip-audit --strict --progress-spinner off

$(BENCH): requirements.txt pyproject.toml | $(PY)
	@echo "· making var/bench, with what the hub runs on"
	@$(PYTHON) -m venv var/bench
	@$(BENCH) -m pip install --disable-pip-version-check --quiet --prefer-binary -r requirements.txt
	@touch $@

docs: $(DEV)  ## write docs/reference.md from the schemas and registries
	@$(PY) -m docs.generate

clean:  ## remove .venv, var and caches
	@rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@test -n "$(PYTHON)" || { echo "make: no python3.11 found on PATH; install it or say PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11" >&2; exit 1; }
	@echo "· making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements.txt pyproject.toml | $(PY)
	@echo "· installing what the hub runs on (once)"
	@$(INSTALL) -r requirements.txt | $(SHORT)
	@$(INSTALL) --quiet --no-deps -e .
	@touch $@

$(DEV): requirements-dev.txt $(RUN)
	@echo "· installing what the tests need (once)"
	@$(INSTALL) -r requirements-dev.txt | $(SHORT)
	@touch $@

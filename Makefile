PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHECKOV := .venv-checkov
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal
SEEDS ?= 1000
FIRST ?= 0
# Containers often forbid bytecode; every process of the tests would then compile all sources.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all simulate lint infra clean

help: ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(VENV)/.ready: requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "tipsweep needs Python 3.11 to 3.13; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

node_modules/.ready: package.json package-lock.json
	npm ci --silent
	touch $@

# checkov needs older versions of packages that the tests use.
$(CHECKOV)/.ready: infra/requirements-checkov.txt
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/requirements-checkov.txt
	touch $@

setup: $(VENV)/.ready node_modules/.ready ## Install the tools into .venv and node_modules.

demo: setup ## Delete the customers of a simulated sandbox, with live progress.
	$(BIN)/python -m local.demo

test: setup lint $(CHECKOV)/.ready ## Check types and style, then run every test.
	$(PYTEST)

test-all: setup lint $(CHECKOV)/.ready ## Fuzz ten times as long, and test on each Python found.
	$(PYTEST) --hypothesis-profile=thorough --timeout=1800
	.ci/other-pythons

# One seed with its story: SEED=4711. Mistakes that it must see: PLANTED=all. Less: FAULTS_OFF=death SKIP=slow:3.
simulate: $(VENV)/.ready ## Run SEEDS seeds of the simulation.
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST) $(if $(SEED),--seed $(SEED)) \
		$(if $(PLANTED),--planted $(PLANTED)) $(if $(FAULTS_OFF),--without $(FAULTS_OFF)) \
		$(if $(SKIP),--skip $(SKIP))

lint: setup ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

infra: ## Compile the Bicep files, if a Bicep compiler is found.
	infra/check.sh

clean: ## Remove what setup installed.
	rm -rf $(VENV) $(CHECKOV) .venv-3.13 .venv-tests-* node_modules

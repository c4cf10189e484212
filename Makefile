# The two commands on a fresh machine are `make demo` and `make test`.
# Each does all the set-up that it needs; nothing outside .venv/ and var/ is touched,
# but for Debian's packages that the tests want where they may be installed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check audit serve bench docs format

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## make .venv/ with the locked packages; .venv/bin/starfish is the command

# Behind a hospital's mirror Poetry must be told the index that pip already knows.
$(STAMP): pyproject.toml poetry.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Starfish needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV)/ (about half a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "poetry>=2.1,<3" poetry-plugin-pypi-mirror 2>&1 | grep -v 'is ignored: it is neither' || true
	@VIRTUAL_ENV=$(abspath $(VENV)) POETRY_PYPI_MIRROR_URL="$$($(BIN)/python deploy/pip_index.py)" $(BIN)/poetry install --quiet --no-interaction
	@touch $@

demo: setup  ## four hospitals, one federated study, on this machine (KEEP=1 leaves it running)
	@$(BIN)/python -m examples.heart_disease.demo $(if $(KEEP),--keep)

test: setup  ## format, lint, types, import contracts, migrations, then the whole suite
	@deploy/test_packages.sh
	@$(BIN)/python -m tests.run_all

check: setup  ## the quick checks of `make test` alone
	@$(BIN)/python -m tests.run_all --checks-only

audit: setup  ## look the locked packages up among the known vulnerabilities, where that can be reached
	@$(BIN)/python deploy/audit.py $(VENV)/audit

serve: setup  ## a Routing Server on http://127.0.0.1:8000 (SQLite, var/)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/starfish router serve --bind 127.0.0.1:8000

bench: setup  ## seconds a round and memory, 2 to 16 sites, 1 kB to 100 MB: ten minutes (benchmarks/README.md)
	@$(BIN)/python -m benchmarks.rounds

docs: setup  ## draw the figures and write the generated reference pages
	@$(BIN)/python -m docs.generate

format: setup  ## format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

# `make demo` and `make test` each create .venv and install, pinned, what they need when it is missing or has changed.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# One line for each package that is downloaded, instead of pip's thirty for everything.
PIP     = $(BIN)/python -m pip --disable-pip-version-check install
BRIEFLY = sed -un -e '/\.metadata/d' -e '/^ *Downloading/p'

.PHONY: help demo test clean
help:
	@echo "make demo    localize the test images of the synthetic room with the map that is shipped"
	@echo "make test    ruff, mypy and the tests"
	@echo "make clean   remove .venv and what the targets made"
	@echo "Another interpreter: make demo PYTHON=python3.12 (after make clean, if .venv exists)"

demo: $(VENV)/.run-installed
	$(BIN)/vloc demo --out out

test: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) out build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
	    echo "vloc_ros needs Python 3.10 to 3.13; choose an interpreter: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%-installed: requirements/%.txt setup.py setup.cfg | $(BIN)/python
	@echo "Installing $< into $(VENV), this can take some minutes"
	@$(PIP) -r $< | $(BRIEFLY)
	@$(PIP) --no-deps --no-build-isolation --editable . | $(BRIEFLY)
	@touch $@

# Requirement files that include each other.
$(VENV)/.dev-installed: requirements/run.txt requirements/offline.txt

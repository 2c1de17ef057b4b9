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

# The environment has a ROS 2 of its own; of one that is sourced, nothing must get into it.
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE
# Test files are shared among processes, each as a whole, for its tests share what they make.
WORKERS ?= --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
MACHINE := $(shell uname -sm)
HAS_ROS := $(findstring Linux x86_64,$(MACHINE))
NO_ROS   = PyPI has ROS 2 for x86-64 Linux only, this is $(MACHINE)

# Tools of a release have an environment of their own: they must not be among what they list.
TOOLS := $(VENV)-release
UV     = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header

.PHONY: help demo test clean lock sbom
help:
	@echo "make demo    a robot drives through a rendered room and asks the ROS 2 nodes where it is"
	@echo "make test    ruff, mypy and the tests"
	@echo "make clean   remove .venv and what the targets made"
	@echo "make sbom    write out/sbom.json, what make demo installs (CycloneDX), and out/licences.md"
	@echo "make lock    pin what make demo installs anew, with hashes"
	@echo "Another interpreter: make demo PYTHON=python3.12 (after make clean, if .venv exists)"

demo: $(VENV)/.run-installed $(VENV)/.ros-installed
	$(BIN)/vloc demo --out out

test: $(VENV)/.dev-installed $(VENV)/.features-installed $(if $(HAS_ROS),$(VENV)/.ros-installed)
	@$(if $(HAS_ROS),:,echo "$(NO_ROS): the tests of the nodes are skipped")
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(WORKERS)

# What is installed, not what is asked for.
sbom: $(VENV)/.run-installed $(VENV)/.ros-installed $(TOOLS)/.installed
	@mkdir -p out
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --output-reproducible --of JSON -o out/sbom.json
	$(BIN)/python requirements/sbom.py out/sbom.json out/licences.md

lock: $(TOOLS)/.installed
	$(UV) requirements/run.txt -o requirements/run.lock
	$(UV) --no-deps requirements/ros.txt -o requirements/ros.lock

clean:
	rm -rf $(VENV) $(TOOLS) out build *.egg-info .pytest_cache .mypy_cache .ruff_cache

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

# What the demo needs comes with hashes, all of it.
$(VENV)/.run-installed: requirements/run.lock setup.py setup.cfg | $(BIN)/python
	@echo "Installing $< into $(VENV), this can take some minutes"
	@$(PIP) --require-hashes -r $< | $(BRIEFLY)
	@$(PIP) --no-deps --no-build-isolation --editable . | $(BRIEFLY)
	@touch $@

$(TOOLS)/.installed: requirements/release.txt
	$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check install -r $< | $(BRIEFLY)
	@touch $@

# Requirement files that include each other.
$(VENV)/.dev-installed: requirements/run.txt requirements/offline.txt

# Without what its metadata asks for besides: the file says why.
$(VENV)/.features-installed: requirements/features.txt | $(BIN)/python
	@echo "Installing $< into $(VENV)"
	@$(PIP) --no-deps -r $< | $(BRIEFLY)
	@touch $@

$(VENV)/.ros-installed: requirements/ros.lock $(shell find ros_overlay -type f -not -name '*.pyc') | $(VENV)/.run-installed
	@$(if $(HAS_ROS),:,echo "$(NO_ROS): install ROS 2 Jazzy and build with colcon" >&2; exit 1)
	@command -v c++ > /dev/null || { \
	    echo "tf2_msgs is compiled, which needs a C++ compiler; on Debian or Ubuntu: sudo apt install g++" >&2; exit 1; }
	@[ -e "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || { \
	    echo "tf2_msgs is compiled, which needs Python's headers; on Debian or Ubuntu: sudo apt install python3-dev" >&2; exit 1; }
	@echo "Installing ROS 2 from $< into $(VENV)"
	@$(PIP) --no-deps --no-build-isolation --use-pep517 --require-hashes -r $< | $(BRIEFLY)
	@ros_overlay/install $(BIN)/python
	@touch $@

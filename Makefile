# The two commands: `make demo` shows the system at work, `make test` checks all of it.
# Each sets up what it needs in .venv, and names what the machine lacks.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := $(VENV)/clients
DRS_CLIENTS := $(VENV)/drs-clients
DATA ?=
PARTS ?=
# Ids of known faults that `make audit` accepts.
ACCEPTED ?=
PORT ?= 8080
MINUTES ?= 10
SEED ?=
MUTANTS ?=
# Processes that check and test at the same time; each that tests starts systems of its own.
WORKERS ?= 2

# Without bytecode each of the processes that tests and demo start would compile all of its sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup archives demo drill local settings quick test test-large test-clients chaos mutants soak capacity wheel audit machine lint types types-all types-3.10 types-3.14 unit bench notebooks pages lock clean

help:
	@echo "make demo [DATA=dir]  start the whole system, put data in, get them back, stop"
	@echo "make drill            lose catalog, buckets, a region, a release, a key, and get over it; print the times"
	@echo "make quick            the tests that need no running system, in under a minute"
	@echo "make test             all checks and tests"
	@echo "make local [PORT=8080] start the whole system and keep it running"
	@echo "make test-large       gigabytes each way between the clouds"
	@echo "make test-clients     hca, dbio, and clients of DRS by others, against the whole system"
	@echo "make chaos [MINUTES=10] [SEED=n] make faults in the whole system, and prove that nothing is lost"
	@echo "make mutants [MUTANTS=..] plant bugs, and see that chaos finds them"
	@echo "make soak [MINUTES=10] a light load without faults: nothing grows"
	@echo "make capacity         offer three times what the API can serve"
	@echo "make wheel            the client's wheel, in build/wheels"
	@echo "make bench [PARTS=..]  measure, and write docs/benchmarks/"
	@echo "make notebooks        run docs/notebooks against a system of their own, and keep their output"
	@echo "make pages            count the ten tasks of docs/pages.md, and take its pictures"
	@echo "make settings         write docs/settings.md from shared/config.py"
	@echo "make audit            ask public databases about faults of our packages"
	@echo "make lock             renew the lock files from pyproject.toml"

setup: $(VENV)/.installed

# Written last, so that an interrupted set-up starts again.
$(VENV)/.installed: requirements.lock pyproject.toml client/pyproject.toml local/gcs/pyproject.toml local/workflows/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: apt-get install python3.11 python3.11-venv, then make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV), which takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e client -e local/gcs -e local/workflows
	@touch $@

# What starts faster afterwards; at once if it was done before.
archives: setup
	@$(BIN)/python -m local.archive_classes

# Disasters and what ends them, on a system of their own; the times that docs/disaster.md has.
drill: archives
	$(BIN)/python -m local.drill

demo: archives
	$(BIN)/python -m local.demo $(if $(DATA),--data "$(DATA)")

local: archives
	$(BIN)/dss local --port $(PORT)

test: machine lint types unit

# The tests that start no process (tests/support/process_use.py), with fewer examples of each property.
quick: setup
	$(BIN)/pytest --quick -n $(WORKERS) --dist loadfile

# Name what the machine lacks before minutes are spent.
machine: setup
	@$(BIN)/python -m tests.support.machine

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The client runs on other versions of Python than the service: by the oldest and the newest one's library. Each mypy
# takes one core, and has its own cache.
types: setup
	@$(MAKE) --no-print-directory --output-sync=target --jobs=$(WORKERS) types-all types-3.10 types-3.14

types-all: setup
	$(BIN)/mypy

types-3.10 types-3.14: types-%: setup
	$(BIN)/mypy --python-version $* -p dss

unit: archives
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

# The client as it is installed from, in build/wheels. Without what an earlier build left, which it would take in.
wheel: setup
	rm -rf client/build build/wheels
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheels ./client
	rm -rf client/build

# Gigabytes each way between the clouds: minutes, and some 12 GiB of memory.
test-large: setup
	$(BIN)/pytest -m large -s

# Kills, freezes, cut lines and busy clouds, overlapping, under load: docs/chaos.md. A seed repeats the faults.
chaos: archives
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# Bugs that are planted in copies of the sources, one after the other, are found: names in tests/chaos/mutants/.
mutants: archives
	$(BIN)/python -m tests.chaos.mutants $(MUTANTS)

# A light load without faults, after which nothing has grown.
soak: archives
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES)

# Three times as many requests as the API can serve.
capacity: archives
	$(BIN)/python -m tests.chaos.capacity

# The tools of the predecessor's users themselves, in an environment of their own.
test-clients: setup $(CLIENTS)/.installed $(DRS_CLIENTS)/.installed
	$(BIN)/pytest -m clients tests/old_clients tests/drs_clients tests/client/test_filesystem_install.py

$(CLIENTS)/.installed: requirements-clients.lock
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $<
	@touch $@

$(DRS_CLIENTS)/.installed: requirements-drs-clients.lock
	$(PYTHON) -m venv $(DRS_CLIENTS)
	$(DRS_CLIENTS)/bin/pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

notebooks: setup
	$(BIN)/python -m tests.support.notebooks

bench: setup
	$(BIN)/python -m tests.benchmarks $(PARTS)

# What the ten tasks of docs/pages.md take, and its pictures.
pages: setup
	DSS_WRITE_PAGES=1 $(BIN)/pytest -n0 tests/run/browse/test_tasks.py tests/run/browse/test_browser.py -k 'task or pictures'

# One table, typed once.
settings: setup
	$(BIN)/python -m tests.support.settings_page

# Faults of packages that are known to the public. It needs a network, and so is no part of `make test`.
audit: setup $(VENV)/audit/.installed
	$(VENV)/audit/bin/pip-audit --disable-pip --require-hashes -r requirements-service.lock $(ACCEPTED:%=--ignore-vuln=%)

$(VENV)/audit/.installed:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet pip-audit
	@touch $@

lock: setup
	$(BIN)/pip-compile --quiet --no-header --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --extra admin --extra dev --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --no-header --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --output-file requirements-service.lock \
		--constraint requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .dss build .pytest_cache .mypy_cache .ruff_cache .hypothesis

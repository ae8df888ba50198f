# The one entrance: everything here sets itself up, and CI calls the same targets. `make` alone prints help.

PYTHON ?= python3.11
BIN    := .venv/bin
PYTEST := $(BIN)/python -m pytest
FAST   := tests/unit tests/contract tests/property

# What can be said on the command line; an empty seed is a fresh one, and is printed.
RUNS   ?= 300
SEED   ?=
FAULTS ?= 100
# One seed of faults for every change, so that a change and not chance makes CI fail; make chaos draws a fresh one.
CI_SEED := 9
ROLE   ?= clerk
AREA   ?= 3408
SERVICE ?= hours
RUN    ?= .local/run
DO     ?= list

export SIM_RUNS := $(RUNS)
export SIM_SEED := $(SEED)
export CHAOS_FAULTS := $(FAULTS)
export CHAOS_SEED := $(SEED)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Use
run: setup ## Run the whole platform on a city's last quarter; Ctrl-C ends it
	$(BIN)/python -m deploy.local run

token: setup ## Print a development token: make token ROLE=clerk AREA=3408
	@$(BIN)/python -m services.runtime.auth token --role $(ROLE) --area $(AREA)

parked: setup ## Show and mend what waits in a running platform: make parked SERVICE=hours DO="show 'hours|...'"
	@set -a; . $(RUN)/environment.sh; set +a; $(BIN)/python -m services.$(SERVICE) parked $(DO)

##@ Check
test: check prepare ## Run every check and test, as CI does (under 20 minutes)
	$(PYTEST) -n 2 $(FAST)
	$(PYTEST) tests/simulation
	$(PYTEST) tests/integration tests/e2e
	CHAOS_FAULTS=10 CHAOS_SEED=$(or $(SEED),$(CI_SEED)) $(PYTEST) tests/chaos

check: setup ## Check format, lint, types, import rules, generated files, secrets and known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.generate --check
	$(BIN)/python -m deploy.audit & audit=$$!; $(BIN)/python -m deploy.secret_scan && wait $$audit

unit: setup ## Run the tests that need no servers, the simulation excepted
	$(PYTEST) -n 2 $(FAST)

sim: setup ## Simulate the system under faults: make sim RUNS=10000 SEED=8841
	$(BIN)/python -m tests.simulation --runs $(RUNS) $(if $(SEED),--seed $(SEED))

chaos: setup prepare ## Strike real processes under load: make chaos FAULTS=50 SEED=7
	CHAOS_KEEP=1 $(PYTEST) tests/chaos
	$(BIN)/python -m tests.support.chaos.table

bench: setup prepare ## Measure what things cost; figures go to docs/
	$(PYTEST) -s tests/bench

coverage: setup ## Say which lines the tests without servers do not reach
	$(BIN)/coverage run -m pytest $(FAST)
	$(BIN)/coverage report --skip-covered --show-missing

##@ Change
format: setup ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: setup ## Write schemas, AsyncAPI, OpenAPI and the event catalogue anew
	$(BIN)/python -m deploy.generate

lock: setup ## Write requirements.lock anew from pyproject.toml (add UPGRADE=--upgrade)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes \
		--no-emit-index-url --no-header --quiet $(UPGRADE) --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --constraint requirements.lock \
		--no-emit-index-url --no-annotate --no-header --quiet --output-file deploy/requirements.lock

clean: ## Remove what tools and runs made, the virtual environment excepted
	rm -rf .local build htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

##@ Called by the others
setup: .venv/.ready ## Make the virtual environment, again only when the lock changed

.venv/.ready: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: apt-get install python3.11 python3.11-venv, or make PYTHON=..." >&2; exit 69; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is needed: apt-get install python3.11-venv" >&2; exit 69; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary --require-hashes -r $<
	@touch $@

prepare: setup ## Have promtool; and Java and the broker's jars, unless KAFKA_BOOTSTRAP_SERVERS is set
	$(BIN)/python -m deploy.local prepare

help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {print "\n" substr($$0, 5)} \
		/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: bench chaos check clean coverage format generate help lock parked prepare run setup sim test token unit

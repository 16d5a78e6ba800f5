# The targets of the project; `make help` lists them. Those that need Python set up .venv if it is missing or stale.
#
#   make stress-gateway                                    the bundled races and their fixed counterparts, on a real store
#   make stress-gateway TARGET=my-gateway.yaml             a Gateway of your own
#   make stress-gateway SCENARIO="one-scenario another"    these scenarios only
#   make stress-gateway PROFILE=nightly                    the long search
#   make stress-gateway SHARD=1/4                          a part of the cases

PYTHON ?= python3
VENV := .venv

# From the command line only: an unrelated TARGET in the environment must not change a run.
TARGET :=
SCENARIO :=
PROFILE := quick
SHARD :=
SEED := 1

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.PHONY: stress-gateway test test-fast test-cases lint bench clean help moved

# One word for the shell, whatever characters it contains.
quote = '$(subst ','\'',$(1))'

target := $(if $(TARGET),--target $(call quote,$(TARGET)))
shard := $(if $(SHARD),--shard $(call quote,$(SHARD)))
scenarios := $(foreach name,$(SCENARIO),$(call quote,$(name)))

stress-gateway: $(VENV)/.run ## Find the race conditions of TARGET= (default: the bundled Gateways); SCENARIO=, PROFILE=quick|nightly, SHARD=i/n
	@$(VENV)/bin/stress-gateway run --profile $(call quote,$(PROFILE)) $(shard) $(target) $(scenarios)

test: $(VENV)/.dev ## Run the tests on all cores and measure their coverage; PROFILE=nightly: ten times as many programs
	@$(if $(filter nightly,$(PROFILE)),STRESS_NIGHTLY=1 )$(VENV)/bin/python -m pytest -q -n auto --dist worksteal --cov --cov-report=term-missing:skip-covered

# Whole folders, most of whose tests stay in the process of pytest.
fast := $(addprefix tests/,core checks config protocols report schedulers)

test-fast: $(VENV)/.dev ## Run the half of the tests that is quick
	@$(VENV)/bin/python -m pytest -q -n auto --dist worksteal -k 'not brute_force and not test_browser' $(fast)

test-cases: $(VENV)/.dev ## Compare searches of random programs with brute force; SEED= selects other programs; PROFILE=nightly: thousands
	@echo 'Random programs of seed $(SEED)'
	@STRESS_ORACLE_SEED=$(call quote,$(SEED)) $(if $(filter nightly,$(PROFILE)),STRESS_NIGHTLY=1 )$(VENV)/bin/python -m pytest -q -n auto --dist worksteal -m cases

lint: $(VENV)/.dev ## Check style, format, types and the direction of imports
	@$(VENV)/bin/python -m ruff check
	@$(VENV)/bin/python -m ruff format --check
	@$(VENV)/bin/python -m mypy --strict
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.bench ## Measure the figures that the README quotes
	@$(VENV)/bin/python -m bench

clean: ## Remove the set-up, the caches and the generated reports
	@rm -rf $(VENV) .gateway-stress build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find reports -mindepth 1 -maxdepth 1 ! -name README.md ! -name .gitignore -exec rm -rf {} +

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Levels of set-up in one .venv: `.run` installs what a run needs, `.dev` adds the tools of `test` and `lint`, so that a
# first run does not wait for them. `.bench` adds the peers of `bench` in a folder of their own, because two of them are
# pytest plugins; one that can't be installed is left out and retried the next time. Bytecode is written at the first import
# instead of at installation, which is faster.
install = $(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-compile -c constraints.txt

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo 'Setting up $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(install) -e .
	@echo $(call quote,$(CURDIR)) > $@

$(VENV)/.dev: $(VENV)/.run
	@echo 'Adding the tools of test and lint ...'
	@$(install) -e '.[dev]'
	@touch $@

peers := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")

$(VENV)/.bench: $(VENV)/.run
	@echo 'Adding the peers of bench ...'
	@rm -rf $(VENV)/peers && touch $@
	@$(VENV)/bin/python -c '$(peers)' | while read -r peer; do \
		$(install) --no-deps --upgrade --target $(VENV)/peers "$$peer" || { echo "Left out: $$peer"; rm -f $@; }; \
	done

# A virtual environment survives neither a move of its folder, which `.run` holds, nor the loss of its Python.
ifeq ($(and $(wildcard $(VENV)/bin/python),$(findstring |$(CURDIR)|,|$(shell cat $(VENV)/.run 2>/dev/null)|)),)
$(VENV)/.run: moved
endif

# `make train` and `make test` are all that a fresh machine needs; everything is installed into .venv by pip.
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= tuned_configs/escape_room/metagrad_5_2.yaml
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install train test integration lint

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1 | /' | column -t -s '|'

# torch goes first and by itself, so that pip takes the build that its configuration offers (a CPU wheel,
# for example); the pins of constraints.txt then find it already there. ai-economist (Gather-Trade-Build) goes last and
# without its dependencies: it pins a hundred exact versions that cannot be resolved beside torch, and all that it
# imports is here already (docs/gather_trade_build.md).
$(STAMP): setup.cfg pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,dev,search]'
	$(BIN)/python -m pip install --quiet --no-deps ai-economist==1.7.1
	touch $@

install: $(STAMP)  ## create .venv with the pinned versions

train: $(STAMP)  ## train Escape Room ER(5,2) (CONFIG=... for another YAML)
	$(BIN)/rllib train file $(CONFIG)

test: $(STAMP)  ## the quick tests
	$(BIN)/python -m pytest -m "not slow and not integration" tests

integration: $(STAMP)  ## the tests that start Ray and whole commands (about ten minutes)
	$(BIN)/python -m pytest -m "integration and not slow" tests

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

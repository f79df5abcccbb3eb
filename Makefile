# Pipekeeper: every target below is listed by `make help` from the comment behind it.
# Settings: PORT, HOST, DEMO=0 (an empty catalog), DATABASE_URL, PYTHON=python3.12 (another interpreter).

PYTHON ?= python3
DEMO ?= 1
BIN := .venv/bin
RUN_STAMP := .venv/.requirements
DEV_STAMP := .venv/.requirements-dev

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench bench-lineage clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(DEV_STAMP) ## Make .venv with everything that running and testing need

run: $(RUN_STAMP) ## Set up and serve the product with its demo warehouse (DEMO=0: an empty one)
	@DEMO=$(DEMO) $(BIN)/python manage.py serve

test: $(DEV_STAMP) ## Run the tests (without the browser)
	@$(BIN)/python -m pytest -q

check: $(DEV_STAMP) ## Lint, import rules, migrations and the API schema
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py check --fail-level WARNING
	@DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

format: $(DEV_STAMP) ## Format the code and mend what lint can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(DEV_STAMP) ## Say how to run each benchmark
	@for file in benchmarks/bench_*.py; do \
	  printf '  %-42s %s\n' "$(BIN)/python -m benchmarks.$$(basename $$file .py)" "$$(sed -n '1s/^"""//;1s/"""$$//;1p' $$file)"; done

bench-lineage: $(DEV_STAMP) ## Time the engine beside its peers (REPO=DIR: also on a copy of mozilla/bigquery-etl)
	@$(BIN)/python -m benchmarks.bench_lineage $(if $(REPO),--repo $(REPO))

clean: ## Remove the environment and caches; your data under var/ stays
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

$(RUN_STAMP): requirements.txt
	@$(call make_venv)
	@echo 'Installing what requirements.txt pins (about a minute, once) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements.txt requirements-dev.txt
	@$(call make_venv)
	@echo 'Installing what requirements-dev.txt pins (about a minute, once) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(RUN_STAMP) $@

# One clear sentence for each thing a new machine may lack.
define make_venv
	fail() { echo "$$1" >&2; exit 1; }; \
	test -w . || fail "This folder cannot be written by $$(id -un): move it, or run as its owner ($$(ls -ld . | awk '{print $$3}'))."; \
	command -v $(PYTHON) >/dev/null || fail "There is no '$(PYTHON)' here: install Python 3.11 or newer, or name one with make PYTHON=…"; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || fail "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed; name one with make PYTHON=python3.11"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || fail "Python's venv module is missing: install it (on Debian and Ubuntu: apt install python3-venv)."; \
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
endef

# Two commands on a fresh machine with Python >= 3.11: `make demo` serves the demo, `make test` runs every test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready

.DEFAULT_GOAL := help
.PHONY: help demo serve test check format bench bench-peers providers-page lock clean

help:
	@echo "make demo    serve the demo on port 4000: no key, no network"
	@echo "make serve   serve cortex.yaml"
	@echo "make test    run every test"
	@echo "make check   ruff, mypy, import rules"
	@echo "make bench   measure what Cortex adds, beside a bare proxy"

demo: $(RUN_READY)
	@$(BIN)/cortex serve --demo

serve: $(RUN_READY)
	@$(BIN)/cortex serve --config cortex.yaml

test: $(DEV_READY)
	$(BIN)/python -m pytest

check: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/contracts

format: $(DEV_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_READY)
	$(BIN)/python -m benchmarks.all --quick

bench-peers:
	scripts/bench_peers.sh

providers-page: $(DEV_READY)
	$(BIN)/python -m scripts.providers_page

lock:
	scripts/lock.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) scripts/make_venv.py $(VENV)

$(RUN_READY): requirements/run.lock pyproject.toml | $(BIN)/python
	@scripts/install.sh $(VENV) requirements/run.lock
	@touch $@

$(DEV_READY): requirements/dev.lock pyproject.toml | $(BIN)/python
	@scripts/install.sh $(VENV) requirements/dev.lock
	@touch $@ $(RUN_READY)

# One set-up, then the commands people and CI use. Nothing here asks a question.
PYTHON_VERSION := 3.10
LOCK := requirements/tfx-1.16.txt
PY := .venv/bin/python
READY := .venv/.ready

.PHONY: help run test bench lint setup lock clean
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

run: $(READY) ## run the Chicago Taxi pipeline on this machine
	@$(PY) runner_local.py run --config configs/taxi.yaml

test: $(READY) ## run the whole test suite, a real pipeline run included
	@$(PY) -m pytest

bench: $(READY) ## this pipeline beside the TFX taxi template; BENCH="--large" for 1.5 million rows
	@$(PY) -m benchmarks.pipeline $(BENCH)

lint: $(READY) ## ruff, mypy, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

setup: $(READY) ## only set up .venv

$(READY): $(LOCK) requirements/uv.txt setup.py tools/setup_venv.sh tools/find_python.sh
	@bash tools/setup_venv.sh $(LOCK) $(PYTHON_VERSION)
	@touch $@

lock: $(READY) ## resolve the dependencies of setup.py anew into the lock file
	@.tools/bin/uv pip compile setup.py --extra dev --overrides requirements/overrides.txt --python-version $(PYTHON_VERSION) \
	  --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header --no-emit-index-url --no-annotate --upgrade --quiet -o $(LOCK)

clean: ## remove what set-up and runs made
	@rm -rf .venv .tools runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

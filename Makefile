# One set-up, then the commands people and CI use. Nothing here asks a question.
# Which generation of TFX: the machine decides, or TFX_GENERATION=1.16|1.21. An impossible one is said where it is needed.
CHOSEN := $(shell bash tools/choose_generation.sh '$(TFX_GENERATION)' 2>/dev/null)
GENERATION := $(or $(word 1,$(CHOSEN)),none)
PYTHON_VERSION := $(word 2,$(CHOSEN))
LOCK := requirements/tfx-$(GENERATION).txt
PY := .venv/bin/python
READY := .venv/.ready-$(GENERATION)

# Of the Vertex AI targets. Without RUNTIME what needs no cloud takes the example, and `submit` your own file.
CONFIG ?= configs/taxi.yaml
JOB ?= build/job.json
EXAMPLE := configs/runtime/vertex.example.yaml
ACCELERATOR ?= cpu
# Overrides of the config, one a word: SET="fit.epochs=1 fit.seed=2". QUICK=1 is a small rehearsal, of every stage.
QUICK_SET := --set fit.epochs=1 --set 'gates=[{kind: bound, metric: auc, bound: 0.5}]' --set 'compression.recipes=[dynamic]'
OVERRIDES = $(foreach each,$(SET),--set '$(each)') $(if $(QUICK),$(QUICK_SET))
# What the code computes: all modules and the libraries' versions.
SOURCE_TAG := $(PY) -c "from pipeline.code_digest import project_digest as d; print('source-' + d().removeprefix('sha256:')[:12])"
# The image is of the generation that compiles its jobs; where none can be installed, only docker is there.
IMAGE_GENERATION = $(or $(TFX_GENERATION),$(filter-out none,$(GENERATION)),1.21)
# A release names the image by digest: it takes the place of the one in the runtime file.
WITH_IMAGE = $(if $(IMAGE),build/runtime.yaml,$(1))
SET_IMAGE = $(if $(IMAGE),bash tools/set_image.sh $(1) '$(IMAGE)' build/runtime.yaml,mkdir -p build)

# Files of tests run side by side: most of a pipeline run waits for imports of one thread.
WORKERS ?= 2

.PHONY: help run test bench lint setup lock clean image image-tag push compile compile-check rehearse submit publish-job terraform test-current
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 23

run: $(READY) ## run the Chicago Taxi pipeline on this machine
	@$(PY) runner_local.py run --config configs/taxi.yaml

test: $(READY) ## run the whole test suite, real pipeline runs included: ONLY="tests/models" for a part, WORKERS (2) at a time
	@$(PY) -m pytest $(if $(filter-out 1,$(WORKERS)),--numprocesses $(WORKERS) --dist loadfile) $(ONLY)

bench: $(READY) ## this pipeline beside the TFX taxi template; BENCH="--large" for 1.5 million rows
	@$(PY) -m benchmarks.pipeline $(BENCH)

lint: $(READY) ## ruff, mypy, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

image: $(if $(TAG),,$(READY)) ## build the production container: IMAGE=registry/name [ACCELERATOR=gpu]
	@bash tools/image.sh build '$(IMAGE)' "$(or $(TAG),$$($(SOURCE_TAG)))" '$(ACCELERATOR)' $(IMAGE_GENERATION)

push: $(if $(TAG),,$(READY)) ## push it, and print its digest: IMAGE=registry/name
	@bash tools/image.sh push '$(IMAGE)' "$(or $(TAG),$$($(SOURCE_TAG)))" '$(ACCELERATOR)' $(IMAGE_GENERATION)

image-tag: $(READY) ## print the tag of this source code
	@$(SOURCE_TAG)

compile: $(READY) ## compile a Vertex AI job, offline: CONFIG, RUNTIME, JOB (output), IMAGE (digest)
	@$(call SET_IMAGE,$(or $(RUNTIME),$(EXAMPLE)))
	@$(PY) runner_vertex.py compile --config $(CONFIG) --runtime $(call WITH_IMAGE,$(or $(RUNTIME),$(EXAMPLE))) --output $(JOB) $(OVERRIDES)

compile-check: $(READY) ## compile twice, compare bytes; BASE=main: tell what differs from there
	@bash tools/compile_check.sh $(PY) $(CONFIG) $(or $(RUNTIME),$(EXAMPLE)) $(BASE)

rehearse: $(READY) ## run the compiled job's own tasks on this machine; QUICK=1 for a small one
	@$(PY) runner_vertex.py rehearse --config $(CONFIG) --runtime $(or $(RUNTIME),$(EXAMPLE)) $(OVERRIDES)

submit: $(READY) ## submit a job to Vertex AI: CONFIG, RUNTIME, IMAGE (digest), DRY_RUN=1, WAIT=1
	@$(call SET_IMAGE,$(or $(RUNTIME),configs/runtime/vertex.yaml))
	@$(PY) runner_vertex.py submit --config $(CONFIG) --runtime $(call WITH_IMAGE,$(or $(RUNTIME),configs/runtime/vertex.yaml)) \
	  $(OVERRIDES) $(if $(DRY_RUN),--dry-run) $(if $(WAIT),--wait)

# Not the example: what is published is run.
publish-job: RUNTIME := $(or $(RUNTIME),configs/runtime/vertex.yaml)
publish-job: compile ## put the job where continuous training takes it from: CONFIG, RUNTIME, IMAGE (digest)
	@$(PY) tools/publish_job.py $(JOB)

# Needs terraform; ENVIRONMENT=build is the project of the images. deploy/terraform/README.md says what lies beside it.
terraform: ## run terraform for ENVIRONMENT=build|dev|staging|prod: DO=plan, DO=apply, DO="output image_readers"
	@bash tools/terraform.sh '$(ENVIRONMENT)' $(or $(DO),plan)

setup: $(READY) ## only set up .venv

.venv/.ready-none:
	@bash tools/choose_generation.sh '$(TFX_GENERATION)' >/dev/null

$(filter-out .venv/.ready-none,$(READY)): $(LOCK) requirements/uv.txt setup.py tools/setup_venv.sh tools/get_uv.sh tools/find_python.sh
	@echo "set-up: TFX $(GENERATION), Python $(PYTHON_VERSION) ($(wordlist 3,99,$(CHOSEN)))"
	@bash tools/setup_venv.sh $(LOCK) $(PYTHON_VERSION)
	@rm -f .venv/.ready*
	@touch $@

RESOLVE := .tools/bin/uv pip compile --generate-hashes --no-header --no-emit-index-url --no-annotate --upgrade --quiet
FOR_1_16 := --python-version 3.10 --python-platform x86_64-manylinux_2_28
# For Linux and macOS in one file.
FOR_1_21 := --python-version 3.11 --universal
GPU_1_16 := $(FOR_1_16)
GPU_1_21 := --python-version 3.11 --python-platform x86_64-manylinux_2_39
# Names in a lock file, which the GPU's does not repeat; and TensorFlow with what it names for CUDA.
LOCKED = $(shell sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' requirements/tfx-$*.txt)
WITH_CUDA = sed -nE 's/^tensorflow(==[0-9.]+) .*/tensorflow[and-cuda]\1/p' requirements/tfx-$*.txt

lock: $(READY) ## resolve the dependencies of setup.py anew into the lock files
	@$(RESOLVE) $(FOR_1_16) setup.py --extra dev --overrides requirements/overrides.txt -o requirements/tfx-1.16.txt
	@$(RESOLVE) $(FOR_1_21) setup.py --extra dev --overrides requirements/overrides.txt -o requirements/tfx-1.21.txt
	@$(MAKE) -s requirements/gpu-1.16.txt requirements/gpu-1.21.txt

requirements/gpu-%.txt: requirements/tfx-%.txt
	@$(WITH_CUDA) | $(RESOLVE) $(GPU_$(subst .,_,$*)) - -c requirements/tfx-$*.txt $(LOCKED) -o $@

test-current: $(READY) ## the whole suite and `make run` on TFX 1.21 in a Debian 13 folder, as root: ONLY="tests/pipeline" for a part
	@bash tools/test_current.sh $(ONLY)

clean: ## remove what set-up and runs made
	@rm -rf .venv .tools runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

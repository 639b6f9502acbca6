# `make` alone lists what there is. SAM calls the build-* targets at the end.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PY := .venv/bin/python
EXAMPLES := iris babies
MACHINE := $(patsubst aarch64,arm64,$(shell uname -m))
# Under SAM (it sets ARTIFACTS_DIR) the default is the template's own; `make build` says what it wants.
ARCH ?= $(if $(ARTIFACTS_DIR),x86_64,$(MACHINE))
# What runs the models: onnx, joblib, or pandas (joblib with data frames). Empty: the first that serves all of artifacts/.
# Say it where the models are on S3.
FLAVOUR ?=
FUNCTION ?= ApiFunction
EVENTS := ApiFunction:http InvokeFunction:invoke QueueFunction:queue BusFunction:bus ObjectFunction:object MapFunction:map MonitorFunction:schedule
EVENT ?= events/$(patsubst $(FUNCTION):%,%,$(filter $(FUNCTION):%,$(EVENTS))).json
# More of the template's parameters, such as PARAMETERS='ModelDefault=babies MemorySize=2048'.
PARAMETERS ?=
# Which stack of samconfig.toml `make deploy` and `make destroy` mean.
ENV ?= dev
SAM := SAM_CLI_TELEMETRY=0 .venv/bin/sam
SAM_IN_REGION := AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} $(SAM)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-11s %s\n", $$1, $$2}'

# --- on this machine

# An environment whose interpreter no longer starts is made anew, whatever its stamps say.
BROKEN := $(shell $(PY) -c 'import pip' 2>/dev/null || echo again)

# The lock is whole, so nothing is left to resolve. pip would compile on one core, the packages' own tests too: 47 s
# for what the service needs, against 22.
INSTALL := $(PY) -m pip install --disable-pip-version-check --require-hashes --no-deps --no-compile -r
COMPILE := { $(PY) -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true; }

.venv/.runtime: requirements.txt $(BROKEN)
	@$(PY) -c 'import pip' 2>/dev/null || { python=$$(infra/find-python) && \
	  echo "Making .venv with $$python" && "$$python" -m venv --clear .venv; }
	@echo "Installing what the service needs into .venv: about 110 MB and half a minute the first time"
	@$(INSTALL) requirements.txt && $(COMPILE)
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	@echo "Installing what tests and builds need into .venv: about 150 MB and a minute the first time"
	@$(INSTALL) requirements-dev.txt && $(COMPILE)
	@touch $@

again:
.PHONY: again help setup dev run test bench soak screenshots check format lock pack packed build validate deploy destroy image invoke start-api clean

setup: .venv/.runtime ## make .venv, the environment of all the others
dev: .venv/.dev

pack: .venv/.runtime ## train and pack the example models that are not packed yet
	@for name in $(EXAMPLES); do \
	  ls artifacts/$$name/*/manifest.json >/dev/null 2>&1 || $(PY) -m model train $$name || exit 1; done

# A model file of the user's own needs no examples: MODEL_PATH=model.pkl make run
run: setup $(if $(MODEL_PATH),,pack) ## serve the models on http://127.0.0.1:8000 (HOST, PORT, MODEL_PATH)
	@MODEL_DEFAULT=$${MODEL_DEFAULT-$(if $(MODEL_PATH)$(MODEL_STORE),,iris)} exec $(PY) -m handler

test: dev pack ## run the whole test suite, a process a core
	@$(PY) -m pytest -n auto

# BENCH='--quick' takes two minutes and leaves bench/results.* alone.
bench: dev ## measure ours beside the tutorial and the floor: table, bench/results.json and .svg (BENCH=--quick)
	@$(PY) -m bench $(BENCH)
	@$(PY) -m bench.bulk

soak: dev pack ## the long runs: every estimator packed, both engines called 30,000 times, scoring killed 200 times, 200 rollouts
	@$(PY) -m bench.coverage
	@$(PY) -m bench.soak
	@$(PY) -m tests.rollouts
	@folder=$$(mktemp -d) && $(PY) -m bench.crash artifacts "$$folder" --kills 200; status=$$?; rm -rf "$$folder"; exit $$status

screenshots: dev pack ## take the pictures of the page in docs/ again (needs /usr/bin/chromium)
	@$(PY) -m tests.screenshots

check: dev ## lint and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/cfn-lint template.yaml

format: dev ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

LOCK := .venv/bin/uv pip compile --universal --python-version 3.11 --fork-strategy fewest -q --generate-hashes \
  --custom-compile-command "make lock"
lock: dev ## resolve pyproject.toml into the hashed requirements files
	$(LOCK) --group dev -o requirements-dev.txt
	$(LOCK) --group runtime -c requirements-dev.txt -o requirements.txt

# --- on Lambda

build: dev ## build functions and layers into .aws-sam/build (ARCH=x86_64|arm64, FLAVOUR=onnx|joblib)
	@ARCH=$(ARCH) $(SAM_IN_REGION) build --parameter-overrides Architecture=$(ARCH)
	@$(PY) -m infra.built .aws-sam/build

validate: dev ## check the template with SAM's translator and with its linter
	$(SAM_IN_REGION) validate
	$(SAM_IN_REGION) validate --lint

# YES=--yes in a pipeline: SAM does not ask.
deploy: build ## build, say what will happen, deploy with the AWS credentials that are set (ENV=dev|prod, PARAMETERS)
	@SAM_CLI_TELEMETRY=0 $(PY) -m infra.deploy deploy $(ENV) $(YES) Architecture=$(ARCH) $(PARAMETERS)

destroy: dev ## ask, then delete the stack; buckets with data stay (ENV=dev|prod)
	@SAM_CLI_TELEMETRY=0 $(PY) -m infra.deploy destroy $(ENV)

image: dev packed ## lay out .aws-sam/image, from which infra/image/ and compose.yaml build with Docker (ARCH)
	@$(PY) -m infra.image_context --arch $(ARCH) --output .aws-sam/image

invoke: dev ## call the built function in Docker (FUNCTION=ApiFunction|InvokeFunction|QueueFunction|BusFunction|ObjectFunction|MapFunction|MonitorFunction, EVENT=FILE)
	@$(SAM_IN_REGION) local invoke $(FUNCTION) -e $(EVENT)

start-api: dev ## serve the built API in Docker on http://127.0.0.1:3000
	@$(SAM_IN_REGION) local start-api

clean: ## remove what can be made again, but for .venv and artifacts
	rm -rf .aws-sam .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# --- called by `sam build` with ARTIFACTS_DIR

# Every recipe waits for the models: SAM reads the folder artifacts/ before it makes their layer, in a fresh clone too.
packed: setup
	@ls artifacts/*/*/manifest.json >/dev/null 2>&1 || $(MAKE) pack

build-ApiFunction build-InvokeFunction build-QueueFunction build-BusFunction build-ObjectFunction build-MapFunction build-MonitorFunction build-DeployHookFunction: packed
	@$(PY) -m infra.function_code "$(ARTIFACTS_DIR)"

build-AuthorizerFunction: setup
	@$(PY) -m infra.authorizer_code --arch $(ARCH) --output "$(ARTIFACTS_DIR)"

build-DependenciesLayer: packed
	@$(PY) -m infra.layer --arch $(ARCH) --flavour "$(FLAVOUR)" --output "$(ARTIFACTS_DIR)"

build-BulkLayer: packed
	@$(PY) -m infra.bulk_layer --arch $(ARCH) --flavour "$(FLAVOUR)" --output "$(ARTIFACTS_DIR)"

build-ModelLayer: packed
	@$(PY) -m infra.model_layer --flavour "$(FLAVOUR)" --output "$(ARTIFACTS_DIR)"

# The two commands: `make serve` and `make test`.
# Settings go into ARGS: make serve ARGS="image.architecture=mobilenet_v2 image.weights=PATH"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
INSTALLED := $(VENV)/.installed

.PHONY: serve test lint format bench bench-gpu serve-config settings proto images images-push clean

# `exec`, so that Ctrl-C and TERM reach the service and not a shell in between.
serve: $(INSTALLED)
	@exec $(BIN)/scoring serve $(ARGS)

test: $(INSTALLED)
	@exec $(BIN)/pytest $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	@exec $(BIN)/python -m benchmarks $(ARGS)

bench-gpu: $(INSTALLED)
	@exec $(BIN)/python -m benchmarks.gpu $(ARGS)

serve-config: $(INSTALLED)
	@exec $(BIN)/scoring serve-config $(ARGS)

settings: $(INSTALLED)
	@exec $(BIN)/scoring settings $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(INSTALLED)

# After a change of the protocol's messages.
proto: $(INSTALLED)
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. serve_app/oip/wire/inference.proto

# Container images (docs/images.md): both, or one by IMAGES=cpu. What is empty is left to the tools.
IMAGES ?= cpu gpu
BUILDER ?= docker
VERSION ?= $(shell git describe --tags --always --dirty)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
# Folder that `scoring models export` wrote; a pip.conf, where the index wants credentials.
MODELS ?=
PIP_CONF ?=
BASE ?=
INDEX ?=
TORCH_INDEX ?=
BUILD_ARGS ?=
# Where the lists of what is in the images (SBOM) are put.
OUT ?= build
comma := ,

given = $(foreach name,$(1),$(if $($(name)),--build-arg $(name)=$($(name))))
BUILD = $(BUILD_$(BUILDER)) $(call given,BASE INDEX TORCH_INDEX) \
	$(if $(PIP_CONF),--secret id=pip$(comma)src=$(PIP_CONF)) \
	$(if $(MODELS),--build-context models=$(MODELS)) $(BUILD_ARGS)
REVISION = $(shell git rev-parse HEAD)
BUILD_docker = SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) docker buildx build --provenance=false
OUTPUT_docker = --output type=docker,rewrite-timestamp=true
BUILD_buildah = buildah build --layers --format docker --timestamp $(SOURCE_DATE_EPOCH) \
	--ignorefile images/Dockerfile.dockerignore

ifeq ($(VERSION),latest)
$(error VERSION names one version, not latest)
endif

images: $(IMAGES:%=image-%)

image-cpu image-gpu: image-%:
	$(BUILD) $(OUTPUT_$(BUILDER)) $(call given,VERSION REVISION) --target $* \
		--tag scoring-$*:$(VERSION) --file images/Dockerfile .
	mkdir -p $(OUT)
	$(BUILD) --target $*-sbom-file --output type=local,dest=$(OUT) --file images/Dockerfile .

# Sign in first: az acr login --name NAME
images-push: $(IMAGES:%=push-%)

push-cpu push-gpu: push-%:
	$(if $(REGISTRY),,$(error REGISTRY is not given: make images-push REGISTRY=NAME.azurecr.io))
	$(PUSH_$(BUILDER))

PUSH_docker = docker tag scoring-$*:$(VERSION) $(REGISTRY)/scoring-$*:$(VERSION) \
	&& docker push $(REGISTRY)/scoring-$*:$(VERSION)
PUSH_buildah = buildah push scoring-$*:$(VERSION) docker://$(REGISTRY)/scoring-$*:$(VERSION)

clean:
	rm -rf $(VENV) .scoring build benchmarks/.peers tests/.environments .pytest_cache .mypy_cache .ruff_cache .hypothesis

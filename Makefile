# The two commands: `make serve` and `make test`.
# Settings go into ARGS: make serve ARGS="image.architecture=mobilenet_v2 image.weights=PATH"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
INSTALLED := $(VENV)/.installed

.PHONY: serve test lint format bench bench-gpu serve-config settings manifests proto clean

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

# After a change of a settings.yaml below kuberay/.
manifests: $(INSTALLED)
	@exec $(BIN)/scoring manifests $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(INSTALLED)

# After a change of the protocol's messages.
proto: $(INSTALLED)
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. serve_app/oip/wire/inference.proto

clean:
	rm -rf $(VENV) .scoring build benchmarks/.peers tests/.environments .pytest_cache .mypy_cache .ruff_cache .hypothesis

include images/Makefile
include kuberay/aks/Makefile
include kuberay/kind.mk

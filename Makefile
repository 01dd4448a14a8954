# The two commands that README names, and what CI calls. Everything happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := hpo lightning_modules tests benchmarks examples docs

.PHONY: study test lint format docs bench bench-gpu faults-baseline reference honesty wheel clean

study: $(VENV)/.core
	$(BIN)/hpo run quickstart

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# The pages of docs/ as a site in build/site; docs/reference/ is written from the code on the way.
docs: $(VENV)/.test
	$(BIN)/python -m docs

# Where the time goes, beside stock Optuna + Lightning and others: writes benchmarks/README.md.
# It takes hours, and nothing else may run meanwhile; `python -m benchmarks.speed p1b` is one goal.
bench: $(VENV)/.core
	$(BIN)/python -m benchmarks.speed --write

# The same on a GPU; where there is none it says so and exits with 5.
bench-gpu: $(VENV)/.core
	$(BIN)/python -m benchmarks.speed --gpu --write

# The faults of tests/faults, also against plain Optuna + Lightning: writes docs/reliability.md.
faults-baseline: $(VENV)/.test
	$(BIN)/python -m benchmarks.faults_baseline

# The default config of every family beside scikit-learn: writes results/reference/families.md.
# It takes a quarter of an hour; with --fashion-mnist (Debian's dataset-fashion-mnist) twice that.
reference: $(VENV)/.core
	$(BIN)/python -m benchmarks.families --write

# Do intervals cover, are verdicts right? Simulated studies: writes results/reference/honesty.md.
honesty: $(VENV)/.core
	$(BIN)/python -m benchmarks.honesty --write

wheel: $(VENV)/.test
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by its exact version: pip would otherwise take the newest build with CUDA.
$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(PIP) install --constraint constraints.txt --editable '.[export,serve]'
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

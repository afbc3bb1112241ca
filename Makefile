# Everything a newcomer types. `make demo` and `make test` need only python >= 3.11, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
ANYWHERE := not gpu and not network and not data and not browser and not slurm and not container
FAST := tests/unit/data tests/unit/reports tests/unit/test_records.py tests/unit/test_registry.py tests/unit/test_settings.py tests/unit/test_neighbors.py tests/cli/test_help.py
ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
export PYTHONPATH := $(CURDIR):$(CURDIR)/protocols:$(CURDIR)/checkpoints

AXE := 4.14.1
.PHONY: install demo test test-data test-browser test-container test-slurm test-faults test-lowest check coverage docs wheel sdist benchmarks
.DELETE_ON_ERROR:

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo 'installs into $(VENV): about 7 GB on disk, most of it PyTorch with its CUDA libraries'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python -m vitbench demo

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m '$(ANYWHERE)'

test-data: install
	@test -n "$(VITBENCH_DATA)" || { echo 'test-data: set VITBENCH_DATA to the folder with the real files'; exit 2; }
	@test -d "$(VITBENCH_DATA)" || { echo 'test-data: VITBENCH_DATA is "$(VITBENCH_DATA)", which is no folder'; exit 2; }
	VITBENCH_DATA="$(abspath $(VITBENCH_DATA))" $(BIN)/python -m pytest -m data

# The report's page in headless Chromium, from the distribution's packages.
test-browser: install
	command -v chromium >/dev/null || { $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq --no-install-recommends chromium; }
	command -v npm >/dev/null || { $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq --no-install-recommends npm; }
	test -f build/axe/node_modules/axe-core/axe.min.js || npm install --silent --no-save --prefix build/axe axe-core@$(AXE)
	$(BIN)/python -m pytest -m browser

# The image of the Dockerfile: built, then used as somebody else than root.
test-container: install
	$(BIN)/python -m pytest -m container

# Studies on a Slurm of this machine alone, from the distribution's packages; its daemons need root.
test-slurm: install
	command -v slurmctld >/dev/null && command -v munged >/dev/null || { $(ROOT) apt-get update -qq && $(ROOT) apt-get install -y -qq --no-install-recommends slurm-wlm munge; }
	$(ROOT) tests/slurm/cluster $(BIN)/python -m pytest -m slurm

# Damaged files, kills, signals, small disks; each trial follows from SEED. Exits with 1 if one failed.
test-faults: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults.campaign --minutes $(or $(MINUTES),60) --seed $(or $(SEED),0)

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Writes benchmarks/RESULTS.md; a quarter of an hour on a quiet machine at most.
benchmarks: install
	$(BIN)/python -m benchmarks.results

# The same tests with the oldest versions that pyproject.toml allows, in an environment of their own.
test-lowest: install
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[mlflow,nyuv2,parquet,shards]' 'pytest>=8.3'
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -q -m '$(ANYWHERE)' $(FAST)

# Lines of the core that the tests reach; below the floor it fails. What is left out is slow under a tracer.
coverage: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --cov -m '$(ANYWHERE)' \
	  --ignore tests/cuda_path --ignore tests/faults --ignore tests/reference

# The documentation, without a network; every warning is an error.
docs: install
	$(BIN)/python -m sphinx --quiet -W --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

wheel: install
	$(BIN)/python -m build --wheel

sdist: install
	$(BIN)/python -m build --sdist

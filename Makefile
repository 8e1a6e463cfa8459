# Heirloom. Needs python3 (3.11 or newer), make, git and a package index; everything else goes into .venv.

PYTHON ?= python3
CORES ?= all
STUDY ?=
DATA ?=

BIN := .venv/bin
READY := .venv/ready
HEIRLOOM := $(BIN)/python -m heirloom
# a relative path: Python reads the file in the locale's encoding, and a clone's folder may have any name
LINK := import pathlib, sysconfig; \
	pathlib.Path(sysconfig.get_path("purelib"), "heirloom.pth").write_text("../../../../workflow_scripts\n")
# texts are UTF-8 whatever the locale says
export PYTHONUTF8 := 1
STUDY_FILE = $(if $(STUDY),--study config/studies/$(STUDY).yaml)

.DEFAULT_GOAL := help
.PHONY: help results real-sample doctor snakemake-report test test-slow test-faults test-cluster downloads slurm benchmark golden check format lock envs schema clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Heirloom needs Python 3.11 or newer; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1'
	VIRTUAL_ENV=.venv $(BIN)/python -m uv pip sync --quiet --require-hashes requirements.lock
	@$(BIN)/python -c '$(LINK)'
	@touch $@

results: $(READY) ## Run the quickstart study (or STUDY=name) and print its answers
	$(HEIRLOOM) run $(STUDY_FILE) $(if $(DATA),--data $(DATA)) --cores $(CORES)

real-sample: $(READY) ## Run on real photographs and weights: DATA=FOLDER [STUDY=real-sample]
	@test -n "$(DATA)" || { echo "real-sample needs DATA=FOLDER; docs/real-sample.md describes the folder"; exit 2; }
	$(HEIRLOOM) run --study config/studies/$(or $(STUDY),real-sample).yaml --data $(DATA) --cores $(CORES)

doctor: $(READY) ## Check environment, machine, disk and data, and what each study takes: [STUDY=name] [DATA=FOLDER]
	$(HEIRLOOM) doctor $(STUDY_FILE) $(if $(DATA),--data $(DATA))

snakemake-report: $(READY) ## Write Snakemake's own report of a finished study (STUDY=name)
	$(BIN)/python -m snakemake --cores 1 $(if $(STUDY),--configfile config/studies/$(STUDY).yaml) \
		--report results/$(or $(STUDY),quickstart)/snakemake-report.html

# one thread for each worker: there is a worker for each core
test: $(READY) ## Run the tests (all but the slow, faults and cluster ones)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-slow: $(READY) ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow

check: $(READY) ## Lint, formats and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m snakefmt --check Snakefile rules
	$(BIN)/python -m mypy
	$(BIN)/python -c "from importlinter.cli import lint_imports_command; lint_imports_command()" --no-cache
	$(BIN)/python -m snakemake --lint

format: $(READY) ## Bring every file into the house style
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/python -m snakefmt Snakefile rules

lock: $(READY) ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --extra dev pyproject.toml --output-file requirements.lock
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --extra slurm --constraint requirements.lock \
		$$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' requirements.lock) \
		pyproject.toml --output-file requirements-slurm.lock

schema: $(READY) ## Write config/schema.json from the models
	$(HEIRLOOM) schema > config/schema.json

envs: $(READY) ## Write envs/heirloom.yaml from requirements.lock
	$(HEIRLOOM) envs > envs/heirloom.yaml

clean: $(READY) ## Remove what studies made (results/), not the environment
	$(HEIRLOOM) clean

downloads: $(READY) ## Fetch what a study needs from the network, for machines that have none: [STUDY=name] [DATA=FOLDER]
	$(HEIRLOOM) downloads $(STUDY_FILE) $(if $(DATA),--data $(DATA)) --cores $(CORES)

slurm: $(READY) ## Install Snakemake's SLURM executor, on a cluster's login node
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --requirement requirements-slurm.lock

test-faults: $(READY) ## Run the tests that kill and damage
	$(BIN)/python -m pytest -m faults

test-cluster: $(READY) ## Run a study on a SLURM of this machine (as root, Debian); prints what jobs asked for
	$(BIN)/python -m pytest -m cluster -s -rs tests/cluster

benchmark: $(READY) ## Run the benchmarks (on an idle machine)
	$(BIN)/python -m benchmarks.remos_slicing
	$(BIN)/python -m benchmarks.criticality
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.strided_points

golden: $(READY) ## Measure quickstart's golden numbers over seeds anew [EXPERIMENTS="name ..."]
	$(BIN)/python -m tests.golden.quickstart $$(mktemp -d)/project $(EXPERIMENTS)

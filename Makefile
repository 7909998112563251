# Everything a person or a machine runs. Each target sets up what it needs; a second run reuses it.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install
export PIP_NO_COMPILE := 1

.PHONY: help install demo test lint format tables docs fuzz faults mutants audit sbom dist clean
help:
	@echo "make install   .venv with the program in it"
	@echo "make demo      render, train, evaluate, detect: out/demo/report.html"
	@echo "make test      lint, types, import layers, and all tests"
	@echo "make lint      ruff, format, types, import layers, names that nobody uses"
	@echo "make audit     known holes of the pinned packages, licences of what is shipped"
	@echo "make sbom      out/sbom.json: what is shipped, CycloneDX"
	@echo "make dist      out/dist: the wheel, the same bytes from the same tree"
	@echo "make fuzz      spoil inputs of every kind: INPUTS=20000 SEED=1"
	@echo "make faults    Ray's nodes, drivers and stores fail half-way (docs/archive.md): ten minutes"
	@echo "make mutants   change the core line by line and see whether its tests notice: MOST=60 SEED=1 (an hour or two)"
	@echo "make tables    the tables of docs/results anew, from the figures in docs/results/data"
	@echo "make docs      the documentation site: out/docs/index.html"
	@echo "make format    rewrite the sources as ruff formats them"

install: $(VENV)/.run
$(VENV)/.run: requirements/torch.txt requirements/run.txt pyproject.toml
	python3 -m venv $(VENV)
	$(PIP) -r requirements/torch.txt
	$(PIP) --require-hashes --no-deps -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(PIP) --require-hashes --no-deps -r requirements/dev.txt
	touch $@

demo: install
	$(BIN)/refinevad demo --out out/demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

tables: install
	$(BIN)/refinevad bench render docs/results

$(VENV)/.docs: $(VENV)/.dev requirements/docs.txt
	$(PIP) --require-hashes --no-deps -r requirements/docs.txt
	touch $@

# strict: a link, an anchor or a page that leads nowhere ends it, and so does anything loaded from the net
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --clean --quiet

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.venv-audit/.done: Makefile
	python3 -m venv .venv-audit
	.venv-audit/bin/python -m pip --disable-pip-version-check install pip-audit==2.10.1
	touch $@

# where pip-audit cannot be installed, the audit says that it did not ask
audit: $(VENV)/.run
	-$(MAKE) --no-print-directory .venv-audit/.done
	$(BIN)/python -m release.audit

sbom: $(VENV)/.run
	$(BIN)/python -m release.sbom out/sbom.json

dist: $(VENV)/.run
	$(BIN)/python -m release.dist out/dist

# nodes, drivers and object stores of Ray that fail half-way: minutes, so no part of `make test`
faults: $(VENV)/.dev
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults/test_ray_faults.py

INPUTS ?= 20000
SEED ?= 1
fuzz: $(VENV)/.dev
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --inputs $(INPUTS) --seed $(SEED) --out out/fuzz

$(VENV)/.mutants: $(VENV)/.dev requirements/mutants.txt
	$(PIP) --require-hashes --no-deps -r requirements/mutants.txt
	touch $@

# FILES="scoring/events.py scoring/windows.py": these alone; tests/mutation/targets.toml names them all
MOST ?= 60
FILES ?=
mutants: $(VENV)/.mutants
	PYTHONPATH=tests OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m mutation --most $(MOST) --seed $(SEED) --out out/mutants $(if $(FILES),--files $(FILES))

clean:
	rm -rf out build .mypy_cache .ruff_cache .pytest_cache

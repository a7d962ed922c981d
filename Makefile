# All targets need Python 3.11 or later and git, and set up .venv automatically.
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3 python,$(shell \
	command -v $(name) >/dev/null 2>&1 && \
	$(name) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $(name))))
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SITE := $(VENV)/.site
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.PHONY: help demo check test test-slow test-machines lint types quick quick-of-path docs wheel clean

help:
	@echo "make demo       trains a model of each family and compares them: runs/demo/report.html"
	@echo "make check      lint, types, the quick tests: under 2 minutes"
	@echo "make test       lint, types and all tests: under 10 minutes"
	@echo "make test-slow  calibration, browsers, documented commands, counts of faults, the site"
	@echo "make test-machines  runs on several agents of torchrun, with their faults"
	@echo "make docs       the site: site/index.html"

demo: $(READY)
	$(BIN)/ptheta demo --out runs/demo

check: lint types quick

# Types are checked next to the tests: mypy uses one processor, and its report is printed at the end.
test: lint
	@$(BIN)/mypy > .mypy.log 2>&1 & types=$$!; \
	$(PYTEST); status=$$?; \
	wait $$types || status=1; cat .mypy.log; exit $$status

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# tests/quick.txt lists these files.
quick: $(READY)
	$(PYTEST) $$(grep -v '^#' tests/quick.txt)

# The same with the installed packages, as in continuous integration.
quick-of-path:
	python -m pytest -n 2 --dist worksteal $$(grep -v '^#' tests/quick.txt)

test-slow: $(SITE)
	$(PYTEST) -m "slow and not machines"

test-machines: $(READY)
	$(PYTEST) -m machines

docs: $(SITE)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html: open it in a browser"

wheel: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

$(READY): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "ptheta needs Python 3.11 or later with venv and pip, and none was found:" \
			"install one (python.org, or your system's packages), or name it: make PYTHON=..." >&2; \
		exit 1; \
	fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(SITE): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@

clean:
	rm -rf $(VENV) runs dist build site .mypy.log .mypy_cache .ruff_cache .pytest_cache

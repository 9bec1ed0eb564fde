# Every target does its own set-up: `make run` and `make test` are all that a fresh clone needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

py := .venv/bin/python

.PHONY: help install install-dev run test check static bench flame soak kernel lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:  ## .venv with the locked packages; PYTHON=... chooses the interpreter
	@tools/install.sh

install-dev:  ## install, and the tools that the tests and checks use
	@tools/install.sh dev

kernel: install  ## compile native/micro.cpp into build/
	@$(MAKE) build/kernel.stamp

# Rebuilt after a change of the source, of the module that compiles it, or of the Python it is compiled against.
build/kernel.stamp: $(wildcard native/*) stevie/adapters/kernel.py .venv/runtime.stamp
	@$(py) -m stevie.adapters.kernel --build
	@mkdir -p build && touch $@

# Python writes its caches itself, but not where PYTHONDONTWRITEBYTECODE is set, as in many images:
# there every start would compile all modules again, in every process.
build/bytecode.stamp: $(shell find stevie -name '*.py') .venv/runtime.stamp
	@$(py) -m compileall -q stevie
	@mkdir -p build && touch $@

# The Procfile's gunicorn and stevie are those of .venv, never a system-wide one.
run: export PATH := $(CURDIR)/.venv/bin:$(PATH)
run: install  ## Stevie on http://127.0.0.1:$PORT (5000), with the simulated exchange beside it
	@$(MAKE) --silent build/kernel.stamp build/bytecode.stamp
	@exec .venv/bin/stevie up

test: install-dev kernel  ## all tests but the soak
	@$(py) -m pytest -m "not soak" $(ARGS)

check: static kernel  ## format, lint, types, imports, C++ warnings, then the quick tests
	@$(py) -m pytest -m "not slow and not soak" $(ARGS)

static: install-dev  ## the part of check that runs nothing
	@$(py) -m ruff format --check .
	@$(py) -m ruff check .
	@$(py) -m mypy
	@.venv/bin/lint-imports
	@for source in native/*.cpp bench/*.cpp; do g++ -std=c++17 -Wall -Wextra -Wconversion -fsyntax-only \
		-isystem "$$($(py) -c 'import sysconfig; print(sysconfig.get_path("include"))')" "$$source" || exit 1; done

soak: install-dev kernel  ## the campaigns of minutes
	@$(py) -m pytest -m soak --timeout 0 -o faulthandler_timeout=0 $(ARGS)

bench: kernel  ## the benchmarks beside their peers; ARGS=--quick takes a minute
	@tools/install.sh bench
	@$(py) -m bench $(ARGS)

flame: kernel  ## where the kernel's time goes, into docs/flame.svg
	@tools/install.sh bench
	@$(py) -m bench.flame

lock:  ## pin again what setup.cfg asks for (needs uv and the network); UPGRADE=1 takes newer versions
	@tools/lock.sh

clean:  ## everything that make made; the database in var/ stays
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

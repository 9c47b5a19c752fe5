# `make help` lists the targets. Each one first sets up .venv, which belongs to this file: it is cleared whenever
# requirements.txt changes. With PYTHON=/path/to/python, .venv is made from that interpreter and uses its torch
# (remembered until another PYTHON, or an empty one, is given). GNU make 3.81 or newer.

PYTHONS := python3 python3.13 python3.12 python3.11
PARAMS :=
BIN := .venv/bin

MADE_FROM := $(shell cat .venv/.pinned 2>/dev/null)
ifneq ($(origin PYTHON),command line)
PYTHON := $(MADE_FROM)
else ifneq ($(PYTHON),$(MADE_FROM))
.PHONY: .venv/.pinned
endif

.PHONY: help book pdf lint check test proofs soak bench refresh lock audit clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ': .*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile
	@echo 'PYTHON=/path/to/python  use the torch that this Python 3.11 to 3.13 has, instead of installing one'
	@echo 'PARAMS="-p mnist.epochs 20"   for make book: parameters of the notebooks'

book: .venv/.installed ## run the notebooks that changed, render the site to _build/html, print it if it can
	@$(BIN)/python book/build.py $(PARAMS)

pdf: book ## the whole book as _build/pdf/gan-book.pdf, printed by Chromium
	@$(BIN)/python book/pdf.py

# Files are dealt out whole, in their order: a notebook's cells need one kernel, a module's tests what it sets up.
PYTEST = $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/.installed
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

check: lint ## lint, check types, run the tests that take under a second each (about a minute)
	$(PYTEST) -n 2 -m 'not slow and not soak' tests

test: lint ## lint, check types, run tests/ and every notebook against its committed outputs (six to eight minutes)
	$(PYTEST) --nbval tests book

proofs: ## check the theorems of §4 with Coq (under two minutes; Debian: coq libcoq-coquelicot libcoq-mathcomp-analysis)
	@cd proofs && coq_makefile -f _CoqProject -o CoqMakefile && $(MAKE) --no-print-directory -f CoqMakefile

soak: .venv/.installed ## run what takes too long for that (the tests marked soak); their numbers are a page's
	RELIABILITY=$(CURDIR)/book/results/reliability.json $(PYTEST) -m soak tests

bench: .venv/.installed ## time everything beside what one would run instead (15 minutes); PEER=/path/to/gan.py
	@$(BIN)/python -m gan bench $(if $(PEER),--peer '$(PEER)')

refresh: .venv/.installed ## run every notebook with its defaults and rewrite the committed outputs, the English ledger
	@$(BIN)/python book/build.py --refresh

lock: .venv/.installed ## resolve requirements.txt from pyproject.toml, keeping the pins that still fit
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.txt

audit: .venv/.installed ## list the packages' licences, look up what is known against the pinned ones
	@-$(BIN)/python -m pip install --quiet uv
	@$(BIN)/python tests/audit.py $(BIN)/uv tool run --quiet pip-audit --disable-pip --format json -r requirements.txt

clean: ## remove what was built (.venv, runs/ and downloaded data stay)
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

# The stamps are written last, so an interrupted installation starts again.
.venv/.installed: .venv/.pinned pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

ifeq ($(PYTHON),)
.venv/.pinned: requirements.txt
	@for python in $(PYTHONS); do \
		if $$python -c "$$CHECK_VERSION" 2>/dev/null; then exec $$python -m venv --clear .venv; fi; \
	done; echo 'no Python 3.11, 3.12 or 3.13 among: $(PYTHONS)' >&2; exit 1
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@: > $@
else
.venv/.pinned: requirements.txt
	@command -v '$(PYTHON)' >/dev/null || { echo 'PYTHON=$(PYTHON): no such program' >&2; exit 1; }
	@'$(PYTHON)' -c "$$CHECK_VERSION"
	@'$(PYTHON)' -c "$$FIND_TORCH" >/dev/null
	'$(PYTHON)' -m venv --clear .venv
	awk '/^[a-z]/ { torch = /^(torch|torchvision|triton)==|^(nvidia|cuda)-/ } !torch' requirements.txt \
		> .venv/without-torch.txt
	$(BIN)/python -m pip install --disable-pip-version-check -r .venv/without-torch.txt
	@'$(PYTHON)' -c "$$FIND_TORCH" > "$$(echo .venv/lib/python3.*/site-packages)/torch-from-elsewhere.pth"
	@$(BIN)/python -c 'import torch, torchvision'
	@echo '$(PYTHON)' > $@
endif

define CHECK_VERSION
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit("%s is Python %d.%d; this book needs 3.11, 3.12 or 3.13" % ((sys.executable,) + sys.version_info[:2]))
endef

# Prints the folders that hold torch and torchvision: a .pth file with them lets .venv import both.
define FIND_TORCH
import os, sys
if os.path.realpath(sys.prefix) == os.path.realpath(".venv"):
    sys.exit("PYTHON=%s is this folder's own .venv; name the interpreter that it should borrow from" % sys.executable)
try:
    import torch, torchvision
except Exception as error:
    sys.exit("PYTHON=%s cannot import torch and torchvision: %s" % (sys.executable, error))
if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11):
    sys.exit("PYTHON=%s has torch %s; this book needs 2.11 or newer" % (sys.executable, torch.__version__))
for folder in sorted({os.path.dirname(os.path.dirname(package.__file__)) for package in (torch, torchvision)}):
    print(folder)
endef
export CHECK_VERSION FIND_TORCH

# Everything runs in a virtual environment of its own (`make VENV=elsewhere ...` chooses its place) and without a model hub.
VENV ?= .venv
TEXT ?= A happy 25 year old woman with long dark hair, smiling with visible teeth
OUT  ?= face.png
RUN  ?= runs/smoke

PYTHON   := $(VENV)/bin/python
LIKENESS := $(VENV)/bin/likeness

# Tests run in as many processes as there are cores, eight at most; a file's tests stay together.
JOBS   ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); [ $$n -gt 8 ] && n=8; echo $$n)
PYTEST := $(PYTHON) -m pytest -q -n $(JOBS) --dist loadfile

# Licences that would bind whoever passes likeness on.
FORBIDDEN := AGPL;Affero;GNU General Public License v2 (GPLv2);GNU General Public License v3 (GPLv3);SSPL;Non-Commercial;NonCommercial

export HF_HUB_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help face test check format smoke torture browser bench docs package clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-8s %s\n' "$$t" "$$d"; done

face: $(VENV)/.installed-core  ## draw a face into face.png: make face TEXT="an old man with a white beard"
	@$(LIKENESS) generate --output "$$FACE_OUT" -- "$$FACE_TEXT"

# As environment variables, so that quotes in the sentence reach the program and not the shell.
face: export FACE_TEXT := $(value TEXT)
face: export FACE_OUT := $(value OUT)

test: $(VENV)/.installed-test  ## the default test suite: offline, some twelve minutes on two cores
	@$(PYTEST)

check: $(VENV)/.installed-dev  ## style, types, import contracts and tests
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PYTEST)

format: $(VENV)/.installed-dev  ## rewrite the code in the house style
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

smoke: export LIKENESS_CACHE := $(RUN)/cache
smoke: $(VENV)/.installed-train  ## the whole road in tiny steps: train, draw, inspect, measure
	@rm -rf $(RUN)
	for recipe in mini eye judge; do \
	  $(LIKENESS) train $$recipe --preset smoke/$$recipe --data src/likeness/assets/faces --set split=test --output $(RUN)/$$recipe || exit; \
	done
	$(LIKENESS) train lora --preset smoke/lora --model $(RUN)/mini/pipeline --data src/likeness/assets/faces --split test --output $(RUN)/lora
	$(LIKENESS) generate "a smiling man with a beard" --model $(RUN)/mini/pipeline --lora $(RUN)/lora --steps 4 --output $(RUN)/face.png
	$(LIKENESS) inspect $(RUN)/face.png
	$(LIKENESS) generate --like $(RUN)/face.png --output $(RUN)/again.png
	$(LIKENESS) evaluate mini --limit 8 --steps 4 --output $(RUN)/scores

torture: $(VENV)/.installed-test  ## the slow tests: kills, full disks, long runs, PostgreSQL where it is installed
	@$(PYTHON) -m pytest -q -m "slow or postgres"

browser: $(VENV)/.installed-dev  ## the tests that drive a page in Chromium (apt-get install chromium)
	@$(PYTHON) -m pytest -q -m browser

bench: $(VENV)/.installed-test  ## every script in benchmarks/; each prints a table and writes JSON
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(PYTHON) $$script; done

docs: $(VENV)/.installed-docs  ## write docs/cli.md, docs/models.md and the README's tree anew, and the site into build/site
	@$(PYTHON) docs/make_reference.py
	@$(VENV)/bin/mkdocs build -q

package: $(VENV)/.installed-dev  ## wheel and sdist into dist/, with a bill of materials and the licences of what it stands on
	@rm -rf build/package && $(PYTHON) -m build --outdir dist
	@$(PYTHON) -m venv build/package
	@build/package/bin/pip install -qq --disable-pip-version-check -c constraints.txt "$$(ls -t dist/*.whl | head -1)[caption,film,postgres,train,ui]"
	@$(VENV)/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o dist/sbom.cdx.json build/package/bin/python
	@$(VENV)/bin/pip-licenses --python build/package/bin/python --format csv --output-file dist/licences.csv \
	  --partial-match --fail-on "$(FORBIDDEN)"
	@! grep -E '[^L]GPL-|SSPL|[Nn]on-?[Cc]ommercial' dist/licences.csv  # the same under their short names

clean:  ## remove what make made: environment, caches, face.png (runs/ stays: it may hold days of training)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis face.png $(RUN)
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is missing where a first attempt at making the environment failed half-way: then it is made again.
$(VENV)/bin/pip:
	@for python in python3.11 python3 python3.12 python3.13; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "likeness needs Python 3.11 or newer, and none is on the PATH: install python3.11 (with its venv module)" >&2; exit 1; fi; \
	echo "making $(VENV) with $$found"; \
	$$found -m venv $(VENV) || { echo "$$found cannot make virtual environments: on Debian or Ubuntu install the package $$found-venv" >&2; exit 1; }

# One stamp for each set of extras; -qq: pip speaks only when it fails.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "installing likeness[$*] into $(VENV): two minutes the first time"
	@$(VENV)/bin/pip install -qq --disable-pip-version-check -c constraints.txt -e '.$(if $(filter-out core,$*),[$*])'
	@touch $@

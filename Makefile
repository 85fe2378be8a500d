# Thin aliases: everything below is one call of a tool that also works by hand, from an activated environment.
# Variables: PYTHON (the interpreter that builds .venv), SCALE (laptop or paper, for `make reproduce`, `verify`, `stability`
# and `compare`, which also takes smoke).

PYTHON ?= python3
SCALE ?= laptop

STAMP := .venv/.complete
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
RUFF := $(IN_VENV) ruff
SNAKEFMT := $(IN_VENV) snakefmt
SNAKEMAKE := $(IN_VENV) snakemake
SNAKEMAKE_SOURCES := Snakefile workflow/rules

# Nothing here reports to anyone.
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup reproduce preflight test smoke verify stability compare ui report docs bench bench-peers lint format \
        constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv from the pinned requirements, where it is missing or stale

reproduce: preflight $(STAMP) ## set up, then remake every figure and table (SCALE=laptop)
	@$(IN_VENV) python workflow/scripts/compare.py --keep --scale $(SCALE)
	$(SNAKEMAKE) --config scale=$(SCALE)

test: $(STAMP) ## set up, then run the test suite
	$(IN_VENV) pytest

smoke: $(STAMP) ## run every rule once at a tiny scale, into results/smoke
	$(SNAKEMAKE) --cores 2 --config scale=smoke

verify: $(STAMP) ## judge the claims by the figures and tables that are there and print the ledger; fails where a claim fails
	@echo "Judging the figures and tables as they are, committed or remade; nothing is trained."
	$(SNAKEMAKE) verify --allowed-rules claims verify --config scale=$(SCALE)

stability: $(STAMP) ## judge the claims again on nine further sets of seeds, an hour at laptop scale; fails where a verdict changes
	$(IN_VENV) python -m rasgd.claims stability --scale $(SCALE)

compare: $(STAMP) ## compare the reproduced figures and tables with the committed ones
	@$(IN_VENV) python workflow/scripts/compare.py --scale $(SCALE)

ui: $(STAMP) ## browse the runs in MLflow, on this machine only
	$(IN_VENV) python -m rasgd.tracking ui

report: $(STAMP) ## write report.html: figures, tables and how each was made
	$(SNAKEMAKE) --report report.html

docs: $(STAMP) ## build the documentation's pages into site/
	$(IN_VENV) mkdocs build --strict

bench: $(STAMP) ## measure speed side by side, into bench/RESULTS.md
	$(IN_VENV) python -m bench virtual_time exact_theory workflow

bench-peers: ## measure real processes beside torch.distributed.rpc and Ray, in an environment of their own
	@$(check_python)
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --requirement requirements.txt --requirement bench/requirements-peers.txt
	.venv-peers/bin/python -m bench peers

lint: $(STAMP) ## check format, style and types of the code, the workflow's style and the documentation's links
	$(RUFF) format --check .
	$(RUFF) check .
	$(SNAKEFMT) --check $(SNAKEMAKE_SOURCES)
	$(SNAKEMAKE) --lint
	$(IN_VENV) mypy
	$(IN_VENV) mkdocs build --strict --quiet

format: $(STAMP) ## rewrite the code and the workflow in the checked format
	$(RUFF) format .
	$(RUFF) check --fix .
	$(SNAKEFMT) $(SNAKEMAKE_SOURCES)

clean: ## remove what runs left behind, after asking
	@echo "This removes what runs left in results/, .snakemake/, site/ and report.html. Figures, data/ and .venv/ stay."
	@printf 'Remove it? [y/N] '; read answer || { echo 'no answer: nothing removed'; exit 1; }; \
	if [ "$$answer" != y ]; then echo 'Nothing removed.'; exit 0; fi; \
	if [ -d results ]; then find results -mindepth 1 -maxdepth 1 ! -name committed_figures -exec rm -rf {} +; fi; \
	rm -rf .snakemake report.html site

constraints: ## resolve the newest versions (torch stays as pinned) and write constraints.txt
	@$(check_python)
	.ci/constraints $(PYTHON)

preflight:
	@$(check_folder)
	@$(check_python)
	@$(PYTHON) workflow/scripts/preflight.py --scale $(SCALE)

# Snakemake starts jobs by the path of its Python, which it does not quote.
define check_folder
case "$(CURDIR)" in *\ *) echo "the path of this folder has a space, with which Snakemake cannot start jobs: \
move it to a path without one (it is $(CURDIR))" >&2; exit 1;; esac
endef

define check_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
echo "rasgd needs Python 3.11 or newer, but $(PYTHON) is: $$($(PYTHON) --version 2>&1). \
Name another one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
endef

# The stamp is written last and holds the folder: an environment whose building was interrupted has none, and one that
# was moved or copied (its scripts and the editable install point to the old folder) has another; both are built again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): pyproject.toml requirements.txt constraints.txt
	@$(check_folder)
	@$(check_python)
	rm -rf .venv # where it is a link, what it points to stays
	$(PYTHON) -m venv .venv
	$(IN_VENV) python -m pip install --requirement requirements.txt
	@echo "$(CURDIR)" > $@

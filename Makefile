# Everything a newcomer needs is behind `make demo` and `make test`; both set up what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# A test process a core; the tests of a file stay together, since they share what is slow to make.
SPREAD := --numprocesses auto --dist loadfile
# What is imported is compiled once, even where the environment says otherwise: torch takes 15 s to compile at every start.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-gpu down test check slow bench audit clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/installed node_modules/installed ## Install Python and Node packages (the others call it)
	@sh .ci/install-emulator

demo: setup ## Build the demo model, deploy it into a local cloud, ask it
	@$(BIN)/python -m infra.demo

demo-gpu: setup ## Show heavy traffic go to the endpoint, and come back when that is killed
	@$(BIN)/python -m infra.demo_gpu

down: ## Stop the local cloud that `make demo` left running
	@$(BIN)/python -m infra.local_cloud down

test: setup ## Run the tests (under 10 minutes on 2 cores)
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow"

slow: setup ## Run the slow tests: the demo model, the image, the browser, kills
	@$(BIN)/python -m pytest $(SPREAD) -m slow

check: setup ## Lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup ## Measure the newest artifacts here beside their peers (half an hour of an idle machine)
	@$(BIN)/python -m benchmarks --report

audit: setup ## Ask for known vulnerabilities of what the images install (docs/signing.md)
	@$(BIN)/python -m infra.audit

clean: ## Remove what was built and installed; the local cloud must be down
	rm -rf build .local cdk.out node_modules .venv .bench-venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.")'
	@echo "Installing Python packages into .venv; the first time takes a few minutes."
	@$(PYTHON) -m venv .venv
	@# --no-compile: half of the time; Python compiles what is imported, which is a small part of it.
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -e '.[build,demo,infra,endpoint,authorize,dev]'
	@touch $@

node_modules/installed: package-lock.json
	@command -v npm >/dev/null || { echo "npm is not on the PATH: install Node 20 or newer."; exit 1; }
	@echo "Installing the CDK's command line into node_modules."
	@npm ci --silent --no-fund --no-audit
	@touch $@

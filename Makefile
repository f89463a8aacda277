# Every target installs what it needs into .venv, the first time and whenever the dependencies change.
.DEFAULT_GOAL := help
.PHONY: help run demo test test-cores test-processes coverage simulate fuzz bench attack soak chaos model test-docker check clean

VENV := .venv
BIN := $(VENV)/bin
SETUP := pyproject.toml constraints.txt turngate/kernel/_kernel.c
PYTEST := $(BIN)/python -m pytest
# Number of seeds for `make simulate`.
SEEDS ?= 1500

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.local ## start everything on this machine; without OPENAI_API_KEY, with the simulator
	@$(BIN)/turngate run

demo: $(VENV)/.local ## run a scripted conversation with speech, functions and updates, and check the result
	@$(BIN)/turngate demo

test: test-cores test-processes ## unit, integration and end-to-end tests with an embedded broker, without Docker

# Two targets, so that `make -j2 test` runs them beside each other: one needs a processor, and the other waits a lot.
CORES := tests/simulation tests/unit

test-cores: $(VENV)/.dev
	@$(PYTEST) $(CORES)

test-processes: $(VENV)/.dev $(VENV)/.javascript $(VENV)/.sdks
	@$(PYTEST) -m "not docker" $(addprefix --ignore=,$(CORES))

coverage: $(VENV)/.dev ## check that unit tests cover every branch of the pure cores
	@$(PYTEST) -q -p no:cacheprovider --hypothesis-seed=0 --cov --cov-report=term-missing:skip-covered $(addprefix tests/unit/,turngate/protocol gateway translator)

fuzz: $(VENV)/.dev ## a million generated frames from both sides for the gateway's core, ten minutes at most, and the kernel
	@$(BIN)/python -m tests.fuzz
	@$(BIN)/python -m tests.fuzz.kernel

simulate: $(VENV)/.dev ## SEEDS (1500) worlds of up to 11 conversations with injected faults in virtual time, with all promises checked
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

bench: $(VENV)/.bench $(if $(PEERS),$(VENV)/.peers) ## compare with two baselines, with PEERS=1 also with LiteLLM and others, and write docs/performance.md (ROUNDS=3; 20 minutes)
	@$(BIN)/python -m benchmarks --rounds $${ROUNDS:-3} --write $(if $(PEERS),--peers)

.PHONY: scale
scale: $(VENV)/.bench ## simulate 100,000 sessions and the loss of a Redis server, and write docs/scale.md; two minutes
	@$(BIN)/python -m benchmarks.scale --simulate

test-docker: $(VENV)/.dev ## integration tests with a Redis container, and tests of the compose file
	@TURNGATE_TEST_REDIS=container $(PYTEST) tests/integration -m "not docker"
	@$(PYTEST) tests/docker -m docker

chaos: $(VENV)/.dev $(VENV)/.javascript ## random faults in running processes for CHAOS_MINUTES (10), and a fleet behind HAProxy with CALLERS (200)
	@CHAOS_MINUTES=$${CHAOS_MINUTES:-10} $(PYTEST) -s tests/chaos/test_at_length.py
	@CALLERS=$${CALLERS:-200} $(PYTEST) -s -p tests.progress_of_tests tests/chaos/test_gateways.py

attack: $(VENV)/.dev ## floods, fills and limits on a running gateway; five minutes
	@ATTACK_FRAMES=500 $(PYTEST) -s -p tests.progress_of_tests tests/attack tests/end_to_end/test_admission.py

soak: $(VENV)/.dev ## check for leaks with SESSIONS (2000) short and STAYING (50) long sessions; five minutes
	@$(BIN)/python -m benchmarks.soak $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(STAYING),--staying $(STAYING))

model: $(BIN)/python ## check every state of the models of reservations and owners, with spin and gcc
	@$(BIN)/python -m tools.model.check

check: $(VENV)/.dev ## style, types, import rules, and up-to-date generated pages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/turngate config --markdown | diff -u docs/configuration.md - \
		&& $(BIN)/python -m tools.docs.turn | diff -u docs/turn.md - \
		&& $(BIN)/python -m tools.docs.protocol | diff -u docs/protocol.md - \
		&& $(BIN)/python -m tools.docs.env_example | diff -u .env.example - \
		&& $(BIN)/python -m tools.docs.asyncapi | diff -u docs/asyncapi.yaml - \
		&& $(BIN)/python -m tools.docs.metrics | diff -u docs/metrics.md - \
		&& $(BIN)/python -m tools.docs.logs | diff -u docs/logs.md - \
		&& $(BIN)/python -m tools.docs.prometheus_rule | diff -u infra/k8s/components/monitoring/rules.yaml - \
		&& $(BIN)/python -m tools.docs.dashboards \
		&& $(BIN)/python -m benchmarks.scale | diff -u docs/scale.md - \
		|| { echo "a generated page is out of date: make docs" >&2; exit 1; }

.PHONY: audit sbom
audit: $(VENV)/.release ## look up known vulnerabilities of the pinned packages; says so where no database can be reached
	@$(VENV)/release/bin/python -m tools.audit

sbom: $(VENV)/.release ## list what an installation consists of, as CycloneDX, in out/sbom.cdx.json; the image has its own
	@rm -rf out/sbom && mkdir -p out && $(BIN)/python -m venv out/sbom
	@out/sbom/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt .
	@out/sbom/bin/python -m pip uninstall -q -y pip setuptools
	@$(VENV)/release/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-file out/sbom.cdx.json out/sbom/bin/python
	@rm -rf out/sbom

.PHONY: docs
docs: $(VENV)/.dev ## generate the generated pages
	@$(BIN)/turngate config --markdown > docs/configuration.md
	@$(BIN)/python -m tools.docs.turn > docs/turn.md
	@$(BIN)/python -m tools.docs.protocol > docs/protocol.md
	@$(BIN)/python -m tools.docs.env_example > .env.example
	@$(BIN)/python -m tools.docs.asyncapi > docs/asyncapi.yaml
	@$(BIN)/python -m tools.docs.metrics > docs/metrics.md
	@$(BIN)/python -m tools.docs.logs > docs/logs.md
	@$(BIN)/python -m tools.docs.prometheus_rule > infra/k8s/components/monitoring/rules.yaml
	@$(BIN)/python -m tools.docs.dashboards --write
	@$(BIN)/python -m benchmarks.scale > docs/scale.md

.PHONY: screenshots
screenshots: $(VENV)/.dev $(VENV)/.javascript ## take the pictures of docs/console.md, with Chromium
	@$(BIN)/python -m tools.docs.console

clean: ## remove .venv and all other generated files
	@rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find . -name __pycache__ -prune -exec rm -rf {} +

# Two levels of installation. The one for development includes the other.
$(VENV)/.local: $(SETUP) | $(BIN)/python
	@[ -e $(VENV)/.dev ] && ! [ -n "$$(find $(SETUP) -newer $(VENV)/.dev)" ] \
		|| { echo "installing turngate into $(VENV) ..."; $(BIN)/python -m pip install -q -c constraints.txt -e '.[local]'; }
	@$(BIN)/python -c 'import turngate.kernel; raise SystemExit(not turngate.kernel.COMPILED)' \
		|| { echo "no C compiler was found; installing numpy, which does the same with more CPU time ..."; \
			$(BIN)/python -m pip install -q -c constraints.txt -e '.[local,numpy]'; }
	@touch $@

$(VENV)/.dev: $(SETUP) | $(BIN)/python
	@echo "installing turngate and its development tools into $(VENV) ..."
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,interop]'
	@$(BIN)/python -m pip install -q -c constraints.txt --no-deps speech-to-speech
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "installing what draws the charts of the benchmark ..."
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	@touch $@

# In an environment of its own, since it requires other versions.
$(VENV)/.peers: benchmarks/peers/requirements.txt | $(BIN)/python
	@echo "installing LiteLLM's proxy for the benchmark ..."
	@$(BIN)/python -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

$(VENV)/.javascript: tests/javascript/package.json | $(BIN)/python
	@echo "installing the JavaScript clients of the tests ..."
	@npm install --prefix tests/javascript --no-package-lock --no-audit --no-fund --ignore-scripts --silent
	@touch $@

# Apart from the tools for development, since they are no part of what is checked and listed.
$(VENV)/.release: $(SETUP) | $(BIN)/python
	@echo "installing cyclonedx-bom and pip-audit ..."
	@$(BIN)/python -m venv $(VENV)/release
	@$(VENV)/release/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt cyclonedx-bom pip-audit
	@touch $@

# The first release of each SDK that is not the newest, since that is the strictest about what it is sent.
$(VENV)/.sdks: tests/python_sdks/versions.txt | $(BIN)/python
	@echo "installing older SDKs for the tests ..."
	@while read -r sdk version; do \
		$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade --target $(VENV)/sdks/$$sdk deepgram-sdk==$$version || exit 1; \
	done < $<
	@touch $@

$(BIN)/python:
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version) ..."; exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "turngate needs Python 3.11 or newer, and none of python3, python3.13, python3.12, python3.11 here is" >&2; exit 1

# Two commands are all that a newcomer needs: `make serve` and `make test`.
.POSIX:
.PHONY: help serve test machine requests crash power bench docs surface lint format dist clean

BIN = .venv/bin
CYCLES = 100
CUTS = 2000
EXAMPLES = 5000
STEPS = 100
REQUESTS = 100
MANIFESTS = pyproject.toml constraints.txt tools/install $(wildcard plugins/*/pyproject.toml)

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

serve: .venv/serve.stamp ## run the broker on http://127.0.0.1:8777
	@test -f broker.toml || $(BIN)/broker config init
	@exec $(BIN)/broker serve

test: .venv/develop.stamp ## run every test
	$(BIN)/pytest -n 2 --dist worksteal

machine: .venv/develop.stamp ## compare storages with the memory storage, for hours: EXAMPLES=5000 STEPS=100
	BROKER_MACHINE_EXAMPLES=$(EXAMPLES) BROKER_MACHINE_STEPS=$(STEPS) \
		$(BIN)/pytest -n 2 --timeout 0 -k test_any_program tests/contracts plugins

requests: .venv/develop.stamp ## hold each server against the API documentation: REQUESTS=100 a route
	BROKER_REQUESTS=$(REQUESTS) $(BIN)/pytest -s --timeout 0 tests/integration/test_openapi_generated.py

crash: .venv/develop.stamp ## kill the broker a hundred times, or CYCLES=500 times
	PYTHONPATH=tests $(BIN)/python -m crash.campaign --cycles $(CYCLES)
	CRASH_POINTS=50 $(BIN)/pytest -n 2 --timeout 600 tests/crash/test_crash_points.py

power: .venv/develop.stamp ## cut the power at CUTS=2000 moments of a recorded broker
	CUTS=$(CUTS) $(BIN)/pytest -o timeout=0 tests/crash/test_power.py

bench: .venv/develop.stamp ## measure speed, as ratios within one run; SUITES="single batches"
	$(BIN)/python -m bench --directory . $(SUITES)

docs: .venv/develop.stamp ## write docs/hooks.md and docs/api.md from the sources; copy what the chart needs
	$(BIN)/python -m tools.reference
	cp deploy/prometheus/alerts.yml deploy/helm/replika-broker/files/alerts.yml
	cp deploy/grafana/replika-broker.json deploy/helm/replika-broker/files/dashboard.json

surface: .venv/develop.stamp ## write down what others build on, for tests to compare with
	$(BIN)/python -m tools.reference.surface

lint: .venv/develop.stamp ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/develop.stamp ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dist: .venv/develop.stamp ## build a wheel of the core and of each plugin into dist/
	@rm -rf dist
	@for folder in . plugins/*/; do \
		$(BIN)/python -m build --wheel --no-isolation --outdir dist "$$folder" >/dev/null || exit 1; \
	done
	@ls dist

clean: ## remove what was installed and built
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/serve.stamp: $(MANIFESTS)
	@sh tools/install serve
	@touch $@

.venv/develop.stamp: $(MANIFESTS) $(wildcard examples/*/pyproject.toml)
	@sh tools/install develop
	@touch .venv/serve.stamp $@

# One command for each thing that is done here. `make` alone lists them.
PYTHON ?= python3.11
BIN := .venv/bin
STRESS_SECONDS ?= 120
SCALE ?= 1
TOOLS := redis-server nginx prometheus chromium
RESULTS = bench/results/$(shell date +%Y-%m-%d)
VENDORED := eventsource-parser@3.1.1

.PHONY: help venv run test tools check bench stress package vendor clean

help:
	@echo 'make run     serve at http://127.0.0.1:8000, with the shipped voices'
	@echo 'make test    the tests'
	@echo 'make check   format, lint, types and tests: what every commit must pass'
	@echo 'make bench   the figures of record on this machine, in less than 20 minutes (SCALE=0.1: a trial), and their table'
	@echo 'make stress  for minutes: random text, ten million records through a ring, workers killed under load'
	@echo 'make package sdist and wheel in dist/, tried in an environment of their own'
	@echo 'make vendor  what the web page takes from npm, anew; it is committed, so that nothing else needs npm'
	@echo 'make venv    .venv with all that the others need (they call it themselves)'

venv: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ .venv/serves

# To serve takes a tenth of what tests and training take: who wants to hear something must not wait for PyTorch.
.venv/serves: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[aac]'
	@touch $@

run: .venv/serves
	$(BIN)/python run.py serve

test: venv tools
	$(BIN)/python -m pytest -q

# Programs that some tests start: installed where that can be done, else those tests are skipped and say so.
tools:
	@missing=''; for tool in $(TOOLS); do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    apt-get -qq update && apt-get -qq install --yes --no-install-recommends $$missing > /dev/null; \
	else echo "not installed, so their tests are skipped:$$missing"; fi

check: venv tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q

bench: venv
	-$(BIN)/pip install --quiet --editable '.[bench,peers]'
	$(BIN)/python run.py bench all $(RESULTS) --scale $(SCALE)
	@last=$$(ls bench/results/*-seed.json | grep -vF $(RESULTS) | tail -1); \
	if [ -n "$$last" ]; then $(BIN)/python run.py bench compare $$last $(RESULTS)-seed.json; fi

stress: venv
	STRESS_SECONDS=$(STRESS_SECONDS) $(BIN)/python -m pytest -q -m stress

package: venv
	$(BIN)/python -m pytest -q -m packaging
	$(BIN)/python -m build --outdir dist .

# Readable as it is: no bundler, no minifier. Its map is left out, for it leads to files that are not here.
vendor:
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd tts_server/web/vendor && \
	npm pack --silent --pack-destination "$$folder" $(VENDORED) > /dev/null && \
	tar -xzf "$$folder"/*.tgz -C "$$folder" && \
	sed '/^\/\/# sourceMappingURL/d' "$$folder/package/dist/index.js" > eventsource-parser.js && \
	cp "$$folder/package/LICENSE" eventsource-parser.LICENSE && chmod 644 *

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info

# One command for each thing that is done here. `make` alone lists them.
PYTHON ?= python3.11
BIN := .venv/bin
STRESS_SECONDS ?= 120
TOOLS := redis-server nginx

.PHONY: help venv run test tools check bench stress clean

help:
	@echo 'make run     serve at http://127.0.0.1:8000, with the shipped voices'
	@echo 'make test    the tests'
	@echo 'make check   format, lint, types and tests: what every commit must pass'
	@echo 'make bench   how fast the voices are on this machine'
	@echo 'make stress  for minutes: random text, ten million records through a ring, workers killed under load'
	@echo 'make venv    .venv with all that the others need (they call it themselves)'

venv: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

run: venv
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
	$(BIN)/python -m bench engine --pack standard
	$(BIN)/python -m bench engine --pack light

stress: venv
	STRESS_SECONDS=$(STRESS_SECONDS) $(BIN)/python -m pytest -q -m stress

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info

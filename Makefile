# One command for each thing that is done here. `make` alone lists them.
PYTHON ?= python3.11
BIN := .venv/bin
STRESS_SECONDS ?= 120

.PHONY: help venv run test check bench stress clean

help:
	@echo 'make run     speak a Chinese and an English sentence into hello.wav'
	@echo 'make test    the tests'
	@echo 'make check   format, lint, types and tests: what every commit must pass'
	@echo 'make bench   how fast the voices are on this machine'
	@echo 'make stress  random text through front end and voice for $(STRESS_SECONDS) s'
	@echo 'make venv    .venv with all that the others need (they call it themselves)'

venv: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

run: venv
	$(BIN)/python run.py say '你好，这是一个小小的声音。 Hello, this is a small voice.' -o hello.wav
	@echo 'hello.wav is written; listen to it. More: $(BIN)/python run.py say --help'

test: venv
	$(BIN)/python -m pytest -q

check: venv
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
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info hello.wav

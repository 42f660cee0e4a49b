# Two commands, each from nothing:
#   make demo   make a demo slide, predict on it, write the results, open napari on them where there is a display
#   make test   lint, type-check and test everything, under a virtual display where there is none
# Plain pip lines for Windows stand in README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(BIN)/pathlupi demo -o demo

test: $(VENV)/installed-for-tests lint
	OMP_NUM_THREADS=1 sh tests/under_a_display.sh $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/installed-for-tests: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,test]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) demo

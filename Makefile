# Two commands for a stranger: `make demo` and `make test`. Each makes .venv, installs from the project's files and runs;
# a second call finds the stamp and is quick. ARGS is passed on: make demo ARGS="--seconds 40 --json --no-browser".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/demo.stamp
	@$(BIN)/whowhere demo $(ARGS)

# Two test files at a time, whatever the machine: the system tests among them start many processes and measure time. A
# thread each, or numpy's and torch's take the other file's processor.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads 2

clean:
	rm -rf $(VENV) build *.egg-info

# The dev installation holds everything the demo needs, so the demo is content with either.
$(VENV)/demo.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "whowhere needs Python 3.11 or newer: make demo PYTHON=python3.11")'
	@echo 'installing into $(VENV), once: a minute or so'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "whowhere needs Python 3.11 or newer: make test PYTHON=python3.11")'
	@echo 'installing into $(VENV), once: a minute or so'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	mkdir -p $(VENV)/house
	ln -sfn ../.. $(VENV)/house/whowhere
	@touch $(VENV)/demo.stamp $@

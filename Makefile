# Two commands: `make demo` shows everything on simulated devices, `make test` proves it. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test soak lint bench docs clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV) || { echo "On Debian and Raspberry Pi OS:  sudo apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,test,lint]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/python -m renogybt.cli.demo $(ARGS)

test: $(VENV)/.ready
	./scripts/test-peers.sh
	$(BIN)/python -m pytest -n $(or $(JOBS),8) --dist loadfile $(ARGS)

soak: $(VENV)/.ready
	./scripts/test-peers.sh
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) $(ARGS)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready
	./scripts/test-peers.sh
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.ready
	$(BIN)/python -m renogybt.devices.pages docs/registers
	$(BIN)/python -m renogybt.config.pages

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

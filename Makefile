# make tune [ARGS="model=softmax n_trials=50"]   a tuned model, from nothing but Python 3.11+
# make test [ARGS="-k asha"]                     the whole test suite
# make torture [ARGS="kills --n 200"]            kills, damaged files, nonsense configs: some ten minutes
# make lint, make types, make data, make clean

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: tune test torture lint types data clean

tune: .venv/installed data
	$(BIN)/python tune.py $(ARGS)

test: .venv/developed data
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

torture: .venv/developed
	cd tests && ../$(BIN)/python -m torture $(ARGS)

lint: .venv/developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/developed
	$(BIN)/mypy

# FashionMNIST: where it is already, else torchvision's download, else Debian's package, unpacked without root.
data: .venv/installed
	@$(BIN)/python -m hpo_pipeline.dataset.fashion_mnist data || sh .ci/fashion-mnist data

# pip compiles byte code on one core, file by file; compileall does it on all of them, in less than half the time.
.venv/installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "no virtual environment: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	@echo "installing into .venv (torch and MLflow are large: a few minutes the first time)"
	@$(PIP) install --no-compile -e .
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

.venv/developed: .venv/installed
	@$(PIP) install -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache

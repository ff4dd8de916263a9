# `make demo` and `make test` on a machine with git, make and Python: everything else is set up here.
PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PINS := specs/environments/tfx-1.16-py310.txt
BIN := $(VENV)/bin
COMPILED := components/jukebox/core components/jukebox/formats
# Another stamp, so that a compiler which is installed later is put to use.
READY := $(BIN)/.ready$(if $(shell command -v cc),,-without-compiler)
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 0

.PHONY: demo test test-heavy check environment wheel specs pins benchmarks clean

demo: environment
	@$(BIN)/python -m jukebox.examples.flights.demo

# A file's tests stay on one of the two processes, for they share what takes long to make.
test: environment
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not heavy" tests

# The laws of the join with 1,000 examples under each of its two kernels.
test-heavy: environment
	@$(BIN)/python -m pytest -q -m heavy tests; code=$$?; [ $$code -eq 5 ] || exit $$code
	@JUKEBOX_EXAMPLES=1000 $(BIN)/python -m pytest -q -n 2 tests/core/test_asof_laws.py tests/core/test_asof_merging.py \
		tests/core/test_asof_pieces.py tests/core/test_kernel.py

check: environment
	@$(BIN)/ruff check components pipelines tests
	@$(BIN)/ruff format --check components pipelines tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/jukebox compile --check

environment: $(READY)

$(BIN)/.packages: $(PINS) pyproject.toml .python-version
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || \
		{ echo "Jukebox needs Python 3: apt-get install python3 python3-venv"; exit 1; }
	@[ -x "$(UV)" ] || { $(PYTHON) -m venv .uv && .uv/bin/python -m pip install -qq uv; } || \
		{ rm -rf .uv; echo "uv is missing and could not be installed: apt-get install python3-venv, or see uv's site"; exit 1; }
	@echo "Setting up Python 3.10 with the pinned packages in $(VENV) (about 3.5 GB)…"
	@$(UV) venv -q --allow-existing $(VENV) || \
		{ echo "Python 3.10 is missing and uv could not fetch it: install python3.10, for example with pyenv"; exit 1; }
	@$(UV) pip install -q --python $(BIN)/python -r $(PINS)
	@touch $@

# A kernel of other sources must not stay where these cannot be compiled.
$(READY): $(BIN)/.packages $(wildcard $(COMPILED:=/*.[ch]))
	@rm -f $(COMPILED:=/_*.so)
	@$(UV) pip install -q --python $(BIN)/python --no-deps -e .
	@$(BIN)/jukebox doctor | grep -E '^(kernel|codec)'
	@touch $@

# By way of the source distribution, so that nothing is in the wheel that is not in there.
wheel: environment
	@$(UV) build --python $(BIN)/python --out-dir dist

specs: environment
	@$(BIN)/jukebox compile

pins:
	@$(UV) pip compile -q pyproject.toml --extra all --group dev --python-version 3.10 \
		--python-platform x86_64-manylinux_2_36 --no-emit-index-url --no-header --upgrade -o $(PINS)
	@$(UV) pip compile -q pyproject.toml --extra all --group dev --python-version 3.12 \
		--python-platform x86_64-manylinux_2_39 --no-emit-index-url --no-header --upgrade \
		-o specs/environments/tfx-1.21-py312.txt

benchmarks: environment
	@for file in $(filter-out tests/benchmarks/pit_% tests/benchmarks/online_% %_peers.py,$(wildcard tests/benchmarks/*.py)); do $(BIN)/python $$file; done

clean:
	rm -rf $(VENV) .uv .demo

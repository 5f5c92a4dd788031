# Everything a developer runs. Needs Debian 12's python3 (with venv and headers), gcc and make; the rest goes into .venv.
#   make demo    a hello kernel and Debian's cloud kernel, and what their traps were
#   make test    build, fetch the packages that tests boot, run every test (PYTEST='-k loader' for some)
#   make bench   against QEMU's TCG          make fuzz   the tests' long forms: hours
#   make lint    ruff, mypy, C warnings      make clean  remove what was built; .venv and .cache/packages stay
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
PYTEST ?=
# Tests in as many processes as there are processors; the tests of one file share one.
RUN_TESTS = $(BIN)/python -m pytest -q -n auto --dist loadfile $(PYTEST)
BUILD_REQUIRES = import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')

.PHONY: demo test bench lint fuzz clean build packages guests venv
.DELETE_ON_ERROR:

demo: build guests
	@$(BIN)/python -m tests.tools.demo

test: build guests packages
	$(RUN_TESTS)

fuzz: export VMM_FUZZ := long
fuzz: build guests packages
	$(RUN_TESTS)

bench: build packages
	$(BIN)/python -m vmm bench traps $(if $(shell command -v qemu-system-x86_64),--against qemu)
	$(BIN)/python -m vmm bench check bench/baseline.json
	$(BIN)/python -m bench.forks
	$(BIN)/python -m bench.boot
	$(BIN)/python -m bench.loops
	$(BIN)/python -m bench.smp

lint: build guests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) -s -C tests/c OUT=$(CURDIR)/.cache/c-tests all

build: $(READY)
	$(BIN)/python setup.py -q build_ext --inplace

guests:
	$(MAKE) -s -C guests

# Offline this says so and goes on: tests whose package is missing are skipped, or fail where CI is set.
packages: $(READY)
	-$(BIN)/python -m tests.packages fetch

venv: $(READY)
$(READY): pyproject.toml tests/tools/prerequisites.py
	@$(PYTHON) tests/tools/prerequisites.py
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c "$(BUILD_REQUIRES)" > $(VENV)/build-requires.txt
	@$(BIN)/pip install -q -r $(VENV)/build-requires.txt && $(BIN)/pip install -q --no-build-isolation -e '.[dev]' || \
	    { echo 'make venv: pip failed (above). Offline? PIP_FIND_LINKS=FOLDER makes pip take wheels from a folder.' >&2; exit 1; }
	@touch $@

clean:
	rm -rf build dist *.egg-info vmm/_vmk.*.so .cache/c-tests .cache/initramfs
	$(MAKE) -s -C guests clean

# Everything that is done with a checkout. Needs Python 3.10 or newer with venv, GNU make and a C
# compiler; without the compiler fasttoken builds as pure Python and says so.
#
#   make demo         fasttoken bulk on the 10,000 rows of examples/attendees.csv, all verified
#   make serve-demo   a token server for this machine, with a page that joins a call
#   make test         the whole suite on the native core, then on the pure one
#   make lint         ruff, mypy --strict, cython-lint, codespell
#   make test-cpu     what depends on the CPU path, once for each that this machine has
#   make native-test  the C kernels' own tests under AddressSanitizer and UBSan
#   make arm-test     the same on ARMv8, cross-compiled and run under qemu
#   make fuzz         the C kernels under libFuzzer, FUZZ_SECONDS for each harness
#   make bench        docs/benchmarks.md: fasttoken beside its peers; BENCH_FLAGS=--quick for a look
#   make bench-bulk   docs/bulk.md: what files cost; BENCH_FLAGS=--dry
#   make bench-server docs/server.md, "Capacity": the token server under wrk; BENCH_FLAGS=--dry
#   make instructions fails if a token takes over 5 % more instructions than recorded
#   make wheel        build/wheel/fasttoken-*.whl
#   make clean
#
# FASTTOKEN_BUILD=auto|required|pure and CC reach the build, FASTTOKEN_CPU the tests.

PYTHON ?= python3
PYTEST_FLAGS ?=
NATIVE_CC ?= gcc
ARM_CC ?= aarch64-linux-gnu-gcc
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 600
FASTTOKEN_BUILD ?= auto
export FASTTOKEN_BUILD

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
KERNELS := src/fasttoken/_native/kernels
SOURCES := pyproject.toml setup.py README.md LICENSE $(wildcard $(KERNELS)/*.[ch]) \
	$(wildcard examples/web/*.html examples/web/*.js) \
	$(shell find src -name '*.py' -o -name '*.py[xi]' -o -name '*.pxd')

.PHONY: help
help:
	@sed -n 's/^#   make/  make/p' Makefile

# The environment ------------------------------------------------------------------------------

# Files without content that say when something was done, the last by the build it was done with.
VENV := .venv/made
WHEEL := build/wheel/made-$(FASTTOKEN_BUILD)
PACKAGE := .venv/package-$(FASTTOKEN_BUILD)

$(VENV): pyproject.toml
	@echo "make: a new virtual environment in .venv"
	@rm -rf .venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "fasttoken needs Python 3.10 or newer")'
	@$(PYTHON) -m venv .venv || { echo "make: Python's venv is missing (Debian: python3-venv)" >&2; exit 1; }
	@touch $@

# What an earlier build left behind must not get into the wheel.
$(WHEEL): $(VENV) $(SOURCES)
	@echo "make: building fasttoken (FASTTOKEN_BUILD=$(FASTTOKEN_BUILD))"
	@rm -rf build/wheel build/lib* build/bdist* build/temp* src/*.egg-info
	@$(PIP) wheel --no-deps --wheel-dir build/wheel .
	@touch $@

$(PACKAGE): $(WHEEL)
	@rm -f .venv/package-*
	@$(PIP) install --force-reinstall --no-deps build/wheel/*.whl
	@$(PIP) install build/wheel/*.whl
	@$(PY) -I -c 'from fasttoken import backend; core = backend(); \
		print("make: installed,", core.implementation, "core, CPU path", core.cpu); \
		core.reason and print(f"make: {core.reason}; with a C compiler, run make clean first")'
	@touch $@

# The package with one of its extras.
.venv/extra-%: $(PACKAGE)
	@echo "make: installing what $* needs"
	@set -- build/wheel/*.whl && $(PIP) install "$$1[$*]"
	@touch $@

.PHONY: wheel
wheel: $(WHEEL)
	@ls build/wheel/*.whl

# The main job ---------------------------------------------------------------------------------

.PHONY: demo
demo: .venv/extra-bulk
	@$(PY) -I examples/demo.py

# The sample project is Agora's public one: a server of your own settings is left as it is set.
.PHONY: serve-demo
serve-demo: .venv/extra-server
	@if [ -z "$$AGORA_APP_ID$$AGORA_APP_CERTIFICATE" ] && [ ! -f .env ]; then \
		echo "*** AGORA_APP_ID and AGORA_APP_CERTIFICATE are not set."; \
		echo "*** The tokens are of Agora's public sample project and open nothing."; \
		export AGORA_APP_ID=970CA35de60c44645bbae8a215061b33; \
		export AGORA_APP_CERTIFICATE=5CFd2fd1755d40ecb72977518be15d3b; \
	fi; \
	export FASTTOKEN_SERVER_DEMO=examples/web; exec $(PY) -m fasttoken serve --dev

# Tests ----------------------------------------------------------------------------------------

PYTEST = $(PY) -m pytest $(PYTEST_FLAGS)

# FASTTOKEN_REQUIRE_NATIVE=1 makes a missing native core an error instead of a remark.
.PHONY: test
test: .venv/extra-test
	@mkdir -p build/test && rm -f build/test/*.xml
	@status=0; \
	if $(PY) -I -c 'import fasttoken._native.core' 2>/dev/null; then \
		echo "make: the suite on the native core"; \
		FASTTOKEN_IMPL=native $(PYTEST) --junit-xml=build/test/native.xml || status=1; \
	else \
		echo "make: the native core was not built and is NOT TESTED"; \
		[ "$$FASTTOKEN_REQUIRE_NATIVE" != 1 ] || status=1; \
	fi; \
	echo "make: the suite on the pure core"; \
	FASTTOKEN_IMPL=pure $(PYTEST) --junit-xml=build/test/pure.xml || status=1; \
	exit $$status

.PHONY: test-cpu
test-cpu: .venv/extra-test
	@mkdir -p build/test && rm -f build/test/cpu-*.xml
	@set -e; for path in $$($(PY) -I -c 'import fasttoken; print(*fasttoken.backend().cpus)'); do \
		echo "make: the core on CPU path $$path"; \
		FASTTOKEN_IMPL=native FASTTOKEN_CPU=$$path $(PYTEST) tests/test_parity.py \
			tests/test_formats.py tests/test_batch.py --junit-xml=build/test/cpu-$$path.xml; \
	done

.PHONY: lint
lint: .venv/extra-lint
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet --exclude '*.md' .
	@$(PY) -m mypy
	@$(PY) -m mypy examples
	@PATH="$$PWD/.venv/bin:$$PATH" cython-lint src
	@$(PY) -m codespell_lib
	@echo "make: lint is clean"

# The C kernels --------------------------------------------------------------------------------

WARNINGS := -std=gnu11 -Wall -Wextra -Werror
SANITIZE := -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
HEADERS := $(wildcard $(KERNELS)/*.[ch] tests/native/*.h)
NATIVE_TESTS := $(patsubst tests/native/%.c,%,$(wildcard tests/native/*_test.c))
FUZZERS := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))

build/native/%: COMPILE = $(NATIVE_CC) -O1 $(SANITIZE)
build/arm/%: COMPILE = $(ARM_CC) -O2 -static $(ARM_FLAGS)
build/fuzz/%: COMPILE = $(FUZZ_CC) -O1 $(SANITIZE) -fsanitize=fuzzer-no-link

# Kernels go into an archive: a test that includes the source of one, to reach its inner functions,
# brings that one itself and takes only the others from here.
define kernels
build/$(1)/%.o: $(KERNELS)/%.c $(HEADERS)
	@mkdir -p $$(@D)
	@$$(COMPILE) $(WARNINGS) -c $$< -o $$@

build/$(1)/libkernels.a: $(patsubst $(KERNELS)/%.c,build/$(1)/%.o,$(wildcard $(KERNELS)/*.c))
	@rm -f $$@
	@$(2)ar rcs $$@ $$^
endef
$(eval $(call kernels,native))
$(eval $(call kernels,arm,$(ARM_CC:gcc=)))
$(eval $(call kernels,fuzz))

# OpenSSL and zlib are what the kernels are compared with; fasttoken itself uses neither.
LINK = @$(COMPILE) $(WARNINGS) -I$(KERNELS) $< $(@D)/libkernels.a -lcrypto -lz -lm -o $@

build/native/%_test: tests/native/%_test.c build/native/libkernels.a
	$(LINK)
build/arm/%_test: tests/native/%_test.c build/arm/libkernels.a
	$(LINK)
build/fuzz/%_fuzz: tests/fuzz/%_fuzz.c build/fuzz/libkernels.a
	$(LINK) -fsanitize=fuzzer

.PHONY: native-test
native-test: $(NATIVE_TESTS:%=build/native/%)
	@set -e; for test in $^; do echo "make: $$test"; ./$$test; done

# Needs OpenSSL and zlib for the arm64 architecture; ARM_FLAGS may say where they are.
.PHONY: arm-test
arm-test: $(NATIVE_TESTS:%=build/arm/%)
	@set -e; for test in $^; do echo "make: $$test"; qemu-aarch64 -cpu max ./$$test; done

# What is found goes on in build/fuzz/corpus; tests/fuzz holds the seeds.
.PHONY: fuzz
fuzz: $(FUZZERS:%=build/fuzz/%_fuzz)
	@set -e; for name in $(FUZZERS); do \
		echo "make: fuzzing $$name for $(FUZZ_SECONDS) s"; \
		mkdir -p build/fuzz/corpus/$$name tests/fuzz/$${name}_corpus; \
		./build/fuzz/$${name}_fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/$$name- build/fuzz/corpus/$$name \
			tests/fuzz/$${name}_corpus >build/fuzz/$$name.log 2>&1 || \
			{ cat build/fuzz/$$name.log; exit 1; }; \
		grep number_of_executed_units build/fuzz/$$name.log; \
	done

# Benchmarks -----------------------------------------------------------------------------------

.PHONY: bench
bench: .venv/extra-bench
	@$(PY) -m benchmarks $(BENCH_FLAGS)

.PHONY: bench-bulk
bench-bulk: .venv/extra-bench .venv/extra-bulk
	@$(PY) -m benchmarks.bulk $(BENCH_FLAGS)

.PHONY: bench-server
bench-server: .venv/extra-bench .venv/extra-server
	@command -v wrk >/dev/null || { echo "make: wrk is missing (Debian: wrk)" >&2; exit 1; }
	@$(PY) -m benchmarks.server $(BENCH_FLAGS)

.PHONY: instructions
instructions: .venv/extra-bench
	@$(PY) -m benchmarks.instructions --check

.PHONY: clean
clean:
	rm -rf .venv build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f src/fasttoken/_native/core.c src/fasttoken/_native/*.so

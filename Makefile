# make demo | test | test-long | chaos | build | bench | bench-loader | bench-prep | bench-scale | format | lint | clean; see README.md
SHELL := /bin/bash
PRESET ?= release
JOBS ?= $(shell nproc)
BUILD_release := build
BUILD := $(or $(BUILD_$(PRESET)),build-$(PRESET))

.PHONY: all bootstrap configure build test test-long demo chaos bench bench-loader bench-prep bench-scale format lint clean

all: build

bootstrap:
	deploy/bootstrap

configure: bootstrap
	cmake --preset $(PRESET) > /dev/null

build: configure
	cmake --build --preset $(PRESET) -j $(JOBS)

test: build
	deploy/bootstrap --tests
	ctest --preset $(PRESET) -j $(JOBS)

# What waits for others, such as Slurm, which starts a requeued job after two minutes: about ten minutes in all.
test-long: build
	deploy/bootstrap --tests
	ctest --test-dir $(BUILD) --output-on-failure -L '^long$$'

demo: build
	deploy/demo

# A job under random faults against the same job left alone (docs/recovery.md): 16 minutes on an otherwise idle
# machine. CHAOS="--minutes 2 --seed 7" for another one.
chaos: build
	deploy/bootstrap --tests
	MDGEN_BIN_DIR=$(abspath $(BUILD)/bin) "$${MDGEN_CACHE:-$$HOME/.cache/mdgen}/oracles/bin/python" tests/chaos/chaos.py $(CHAOS)

# Everything that is measured, written to docs/benchmarks: about ten minutes on an otherwise idle machine.
bench: build
	python3 tests/bench/suite.py --build $(BUILD)

# The loader on a set of ATLAS's size (docs/data.md), on an otherwise idle machine.
bench-loader: configure
	cmake --build --preset $(PRESET) -j $(JOBS) --target mdgen-bench
	$(BUILD)/bin/mdgen-bench loader --batch_size 1
	$(BUILD)/bin/mdgen-bench loader --batch_size 1 --samples 12 --num_workers 1 --step sleep --step_ms 450

bench-prep: build
	deploy/bootstrap --tests
	"$${MDGEN_CACHE:-$$HOME/.cache/mdgen}/oracles/bin/python" tests/bench/prep_against_mdtraj.py

# How many ranks one coordinator holds (docs/scaling.md): about five minutes on an otherwise idle machine.
bench-scale: configure
	cmake --build --preset $(PRESET) -j $(JOBS) --target mdgen-load
	$(BUILD)/bin/mdgen-load --ranks 64,512,4096 --jobs 8 --measure 20 --repeat 3

format:
	deploy/format --fix

lint:
	deploy/format --check

clean:
	rm -rf build build-*

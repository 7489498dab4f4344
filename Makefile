# make demo | test | build | bench-prep | format | lint | clean; see README.md
SHELL := /bin/bash
PRESET ?= release
JOBS ?= $(shell nproc)
BUILD_release := build
BUILD := $(or $(BUILD_$(PRESET)),build-$(PRESET))

.PHONY: all bootstrap configure build test demo bench-prep format lint clean

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

demo: build
	deploy/demo

bench-prep: build
	deploy/bootstrap --tests
	"$${MDGEN_CACHE:-$$HOME/.cache/mdgen}/oracles/bin/python" tests/bench/prep_against_mdtraj.py

format:
	deploy/format --fix

lint:
	deploy/format --check

clean:
	rm -rf build build-*

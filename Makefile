# `make demo` and `make test` work on a fresh Debian/Ubuntu machine with Python 3.11 and make.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# PACS=qrscp (pynetdicom's own) or orthanc; INPUT=folder of DICOM, default: a synthetic chest phantom.
PACS ?= qrscp
INPUT ?=
# NETWORK=cubic for another network than the best there is.
NETWORK ?=
# Where the public CT volumes lie, and which of them no weights were trained on.
THINSLICE_DATA ?= ../shared/data
HELD_OUT ?= $(wildcard $(THINSLICE_DATA)/train/lungfcp_01_0001* $(THINSLICE_DATA)/train/qin_lsc_0028* $(THINSLICE_DATA)/train/phantom_fda*)
R168 ?= $(THINSLICE_DATA)/dicom/chest_5mm_toshiba_R168
# WEIGHTS="a.safetensors b.safetensors" for other ones than those that come with the program; PLANE=96 for a quick look.
WEIGHTS ?=
PLANE ?=
BENCH_WEIGHTS = $(or $(firstword $(WEIGHTS)),$(wildcard sr_engine/weights/tvsrn_v2.safetensors),sr_engine/training/checkpoints/tvsrn_v2.safetensors)

.PHONY: help setup system demo test check test-faults fuzz fuzz-api soak mutation bench-recovery bench-guard test-dicom test-console bench-console console-pictures bench-quality bench-engine bench-augmentation bench-networks bench-second-stage bench-limits panels lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make .venv with everything locked by hash

$(VENV)/.ready: requirements/runtime.txt requirements/dev.txt requirements/torch.txt pyproject.toml
	deploy/setup.sh $(VENV) $(PYTHON)
	touch $@

system: ## install the servers and DICOM judges that tests and PACS=orthanc need (apt)
	deploy/system.sh

demo: setup ## a thick series goes in, a derived thin series stands in the PACS
	@if [ "$(PACS)" = orthanc ]; then deploy/system.sh orthanc; fi
	$(BIN)/python -m deploy.demo --pacs $(PACS) $(if $(INPUT),--input "$(INPUT)") $(if $(NETWORK),--network $(NETWORK))

test: setup system ## all tests that a change must pass (under 15 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not (faults and slow)"

test-faults: setup system ## kill, cut and starve every part, row by row of docs/reliability.md (about half an hour)
	$(BIN)/python -m pytest -n 2 -m "faults or row"

fuzz: setup ## feed the program what nobody would send: SECONDS=300
	$(BIN)/pip install -q --no-deps --require-hashes -r requirements/fuzz.txt
	$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

fuzz-api: setup ## ask the console's API what nobody would ask, by its own description: SECONDS=300
	$(BIN)/python -m tests.fuzz.api $(if $(SECONDS),--seconds $(SECONDS))

soak: setup system ## random kills, flushes and bounces of the production wiring while scanners send: SECONDS=600 SEED=1
	$(BIN)/python -m tests.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

mutation: setup system ## remove one safeguard at a time, and show which test notices (ten minutes)
	$(BIN)/python -m tests.mutation

bench-recovery: setup system ## seconds from kill -9 of a worker until its job runs again (ten minutes)
	$(BIN)/python -m tests.bench.recovery

bench-guard: setup ## what honest senders keep of their speed while others attack (minutes)
	$(BIN)/python -m tests.bench.guard

test-console: setup system ## the console by HTTP and in a headless browser (minutes)
	$(BIN)/python -m pytest tests/unit/worker/console tests/unit/worker/test_cli_users.py tests/acceptance/test_console.py

console-pictures: setup system ## pictures of every page of the console for docs/images (minutes)
	$(BIN)/python -m tests.bench.console docs/images

bench-console: setup system ## what a million series cost each page of the console (ten minutes)
	$(BIN)/python -m tests.bench.console_rows tests/bench/results/console.json

test-dicom: setup system ## what leaves the node, judged by dciodvfy, dcentvfy, dcm2niix and real PACSs
	$(BIN)/python -m pytest -m dicom

bench-quality: setup ## PSNR and density against interpolation, on volumes never trained on (an hour on 2 cores)
	$(BIN)/python -m sr_engine.evaluation.quality $(HELD_OUT) --ratios 2 3 5 \
		$(if $(PLANE),--plane $(PLANE)) $(if $(WEIGHTS),--weights $(WEIGHTS)) --output tests/bench/results/quality.json

bench-engine: setup ## speed beside the plain module, float32 and bfloat16, on a real series (minutes on one core)
	$(BIN)/python -m tests.bench.engine $(R168) --weights $(BENCH_WEIGHTS)

bench-augmentation: setup ## what each way of making much of few patients is worth (half an hour on one core)
	$(BIN)/thinslice compare sr_engine/evaluation/experiments/augmentation.toml --output tests/bench/results/augmentation.json

bench-networks: setup ## the papers' networks and ablations at equal cost (an hour on one core)
	$(BIN)/thinslice compare sr_engine/evaluation/experiments/networks.toml --output tests/bench/results/networks.json

bench-second-stage: setup ## what RDST's second stage is worth (a quarter of an hour on one core)
	$(BIN)/thinslice compare sr_engine/evaluation/experiments/second_stage.toml --output tests/bench/results/second_stage.json

bench-limits: setup ## what the self-check finds on real scans, from which its limits were chosen (minutes on one core)
	$(BIN)/python -m tests.bench.limits $(THINSLICE_DATA)

panels: setup ## pictures for docs/images, and the real series averaged back (minutes)
	$(BIN)/python -m tests.bench.panels --held-out $(firstword $(HELD_OUT)) --series $(R168) --weights $(BENCH_WEIGHTS)

check: setup ## ruff, mypy and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

lock: ## resolve requirements/*.in anew
	$(PYTHON) -m venv var/lock-venv
	var/lock-venv/bin/pip install -q pip-tools
	PATH=$(CURDIR)/var/lock-venv/bin:$$PATH var/lock-venv/bin/python requirements/lock.py

clean: ## remove what the demo and the tests left behind
	rm -rf var .pytest_cache .mypy_cache .ruff_cache

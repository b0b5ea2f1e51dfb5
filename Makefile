# `make demo` and `make test` are all a newcomer needs. Each installs what the machine lacks (tests/make/bootstrap.sh), and
# both build in one profile and one target folder: `target`, or CARGO_TARGET_DIR where that is set.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test bench soak-store bootstrap fmt clippy doc deny unit

# A Rust installed a minute ago is not yet on the PATH of the shell that installed it.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
# The Python that the tests run their scripts with.
export TAGMILL_PYTHON ?= $(CURDIR)/.venv/bin/python

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: ## a sample corp and real orders, from snapshots to a served API; ARGS=--no-serve ends before serving
	tests/make/bootstrap.sh build
	cargo run --locked -- demo $(ARGS)

test: bootstrap fmt clippy doc deny unit ## everything that CI checks

bench: bootstrap ## load a corp of a million customers beside DuckDB; CORP=FOLDER has other files of that shape
	cargo build --locked --release
	tests/bench/load/run.sh $(CORP)

soak-store: bootstrap ## 500 faults and kills of what writes to a warehouse; SEED=N plays one again, COUNT=N so many
	TAGMILL_SOAK=$(or $(COUNT),$(if $(SEED),1,500)) TAGMILL_SOAK_SEED=$(or $(SEED),1) \
		cargo test --locked --workspace --test it soak_store -- --nocapture

bootstrap: ## install what building and testing need
	tests/make/bootstrap.sh test

fmt: ## check the layout of the code
	cargo fmt --all --check

clippy: ## lint everything
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## build the documentation, without a broken link
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

deny: ## check the dependencies' versions, licences and sources
	tests/make/deny.sh

unit: ## run all tests
	cargo test --locked --workspace

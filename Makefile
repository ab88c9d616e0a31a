# wtn's one front door: `make` alone lists what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo setup test check portable docs e2e bench instructions conformance fuzz deny advisories nightly toolchain

WTN_BIN ?= target/debug/wtn
# More for `wtn demo`, such as ARGS="--http 0.0.0.0:9000"
ARGS ?=
# For each fuzz target
SECONDS_EACH := $(or $(SECONDS),60)
TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The release profile: what is shown is what a user gets, and from nothing it builds no slower than the other.
demo: toolchain ## Builds the server and starts it with a test picture: open the address that it prints
	@echo "The first build takes a few minutes."
	cargo run --release --locked --package wtn -- demo $(ARGS)

setup: toolchain ## Installs what the tests need and this machine lacks, and says what
	@tools/setup

test: setup check ## Everything that must pass: format, lints, docs, unit tests, real browsers and stacks
	cargo test --workspace
	$(MAKE) --no-print-directory e2e-built

check: toolchain ## The quick half of it: format, lints, docs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet

portable: toolchain ## The code for other systems than Linux, tested on this one: no batches, no segmentation, one shard
	cargo test --package wtn-net --features portable

e2e: setup ## Chromium, aiortc, FFmpeg and GStreamer against the built binary; ONLY=watch for one file of e2e/test
	cargo build --package wtn --locked
	$(MAKE) --no-print-directory e2e-built

# `cargo test --workspace` has built the binary; building it alone would build half of it again, with other features.
e2e-built:
	cd e2e && PATH="$$PWD/.node/bin:$$PATH" WTN_BIN="$(abspath $(WTN_BIN))" timeout 30m npm test --silent -- $(if $(ONLY),test/$(ONLY).test.js,test/*.test.js)

docs: toolchain ## Writes docs/conformance.md anew, from the rows, the departures and the names of the tests
	WTN_WRITE_DOCS=1 cargo test --quiet --package wtn-conformance --test doc

conformance: toolchain ## The running server against WHIP and WHEP, judged from outside (docs/conformance.md)
	cargo test --package wtn --test conformance

# Without a sanitizer, so that the stable compiler will do: a panic, a hang and an assertion are what we look for.
fuzz: toolchain ## Fuzzes every target for SECONDS=60; TARGETS="sdp stun" for some (installs cargo-fuzz)
	@cargo fuzz --version >/dev/null 2>&1 || { echo "installing cargo-fuzz, a minute"; cargo install --locked cargo-fuzz; }
	@for target in $(TARGETS); do \
		echo "== $$target"; mkdir -p target/fuzz-corpus/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none --target-dir target/fuzz $$target \
			target/fuzz-corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(SECONDS_EACH) -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
			|| exit 1; \
	done

deny: toolchain ## Licences, sources and bans of everything we depend on (installs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || { echo "installing cargo-deny, a few minutes"; cargo install --locked cargo-deny; }
	cargo deny check bans licenses sources

advisories: toolchain ## Known faults in what we depend on; fetches the advisory database
	cargo deny check advisories

bench: toolchain ## What forwarding costs against sealing alone (docs/performance.md)
	cargo bench --package wtn-testkit --package wtn-net --bench egress --bench ingest

instructions: toolchain ## The same in instructions, which no other load disturbs; fails where they have grown (installs valgrind)
	@tools/instructions

nightly: test portable deny fuzz instructions ## What takes long: the rest of it with ten times the random cases, fuzzing, and the release binary end to end
	PROPTEST_CASES=2560 cargo test --workspace --release
	cargo test --release --package wtn-testkit --test join_leave --test crowd -- --ignored
	cargo test --release --package wtn --test lossy_line -- --ignored --nocapture
	cargo build --package wtn --locked --release
	cd e2e && PATH="$$PWD/.node/bin:$$PATH" JOINS=50 WTN_BIN="$(abspath target/release/wtn)" timeout 30m npm test --silent -- test/*.test.js

toolchain:
	@command -v cargo >/dev/null || { echo "There is no cargo on this machine. wtn needs Rust 1.89 or newer: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || tools/setup build

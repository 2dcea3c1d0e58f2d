#!/bin/sh
# Sets up, builds, and runs every check: format, tests (the end-to-end ones start the real
# binaries), lints, documentation.
set -eu
cd "$(dirname "$0")/.."

tools/setup.sh
cargo fmt --all --check
cargo build --release --workspace --bins
cargo test --release --workspace
cargo clippy --release --workspace --all-targets -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps

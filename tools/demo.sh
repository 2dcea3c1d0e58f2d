#!/bin/sh
# Sets up, builds, and runs a node with the embedded registry and a real data set; prints how
# to resolve one identifier over every front. Arguments go to `idnode demo`.
set -eu
cd "$(dirname "$0")/.."

tools/setup.sh
cargo build --release --workspace --bins
exec "${CARGO_TARGET_DIR:-target}/release/idnode" demo --data-dir "${IDNODE_DEMO_DIR:-demo-data}" "$@"

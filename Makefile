# The two commands that do everything, and the rest of a working day.
.PHONY: demo test lint bench bench-import

demo: ## a running node with a real data set, and how to resolve from it
	tools/demo.sh

test: ## every check there is
	tools/test.sh

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

bench: ## criterion benches
	cargo bench -p idnode-benches

bench-import: ## a million identifiers, against a bare RocksDB loop
	cargo build --release --workspace --bins
	cargo run --release -p idnode-benches --bin import_vs_rocksdb

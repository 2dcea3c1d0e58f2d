# The two commands that do everything, and the rest of a working day.
.PHONY: demo test lint bench bench-import bench-dns

demo: ## a running node with a real data set, and how to resolve from it
	tools/demo.sh

test: ## every check there is
	tools/test.sh

lint:
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

bench: ## criterion benches
	cargo bench --workspace --bench paths

bench-import: ## a million identifiers, against a bare RocksDB loop
	cargo build --release --workspace --bins
	"$${CARGO_TARGET_DIR:-target}"/release/import_vs_rocksdb

bench-dns: ## a million names, against NSD, Knot, BIND and PowerDNS
	cargo build --release --workspace --bins
	benches/dns-peers/dns-peers

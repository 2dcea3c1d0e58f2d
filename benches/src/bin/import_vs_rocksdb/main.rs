//! A bulk import through the whole product against a bare RocksDB loop, in one run.
//!
//! The node's side is wall clock of one `idctl import FILE` into a running `idnode`: CSV read,
//! parsed, sent over gRPC, validated, committed with its change log, acknowledged item by item.
//! The bare side writes the rows that the import left in the identifiers family, and nothing
//! else, with the node's own memtable size and compression, in synced batches of 1,000 on one
//! thread. The two take turns; each round begins in an empty directory. Afterwards the node is
//! killed and started again, stopped and started again, with everything present.
//!
//! `cargo build --release --workspace && target/release/import_vs_rocksdb [ITEMS [ROUNDS]]`, by
//! default 1,000,000 and 3. (`cargo run -p idnode-benches` chooses other features of shared
//! dependencies and compiles RocksDB anew.) Exits with 1 when a requirement is missed, in any round.

mod bare;
mod items;
mod node;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use node::{Binaries, Node};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Items of one batch of the bare loop, and of one chunk of the import.
const BATCH: usize = 1_000;
/// Least import rate, as a share of the bare loop's.
const LEAST_RATIO: f64 = 0.4;
/// Most resident memory of the node, bytes.
const MOST_RESIDENT_BYTES: u64 = 1 << 30;
/// Longest time from starting the node to its ports line.
const LONGEST_START: Duration = Duration::from_secs(2);

/// What one import took.
struct Import {
    took: Duration,
    /// Highest resident memory of the node from its start to after the import, bytes.
    peak_bytes: u64,
    /// Resident memory right after the import, bytes.
    after_bytes: u64,
    /// CPU time of the node during the import, seconds: user and system.
    node_cpu_s: (f64, f64),
    /// CPU time of `idctl import`, seconds: user and system.
    client_cpu_s: (f64, f64),
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("import_vs_rocksdb: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<bool> {
    let mut arguments = std::env::args().skip(1);
    let items: usize = arguments.next().map_or(Ok(1_000_000), |n| n.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let binaries = binaries()?;
    let work = tempfile::tempdir()?;
    let file = work.path().join("items.csv");
    let file_bytes = items::write(&file, items)?;
    println!("{items} items, {} MiB of CSV", file_bytes >> 20);

    let mut rows = Vec::new();
    let mut rates = Vec::with_capacity(rounds);
    let mut within = true;
    for round in 1..=rounds {
        let data = work.path().join(format!("node-{round}"));
        let mut node = Node::init_and_start(&binaries, &data)?;
        node.prepare()?;
        let import = import(&node, &file, items)?;
        within &= import.peak_bytes < MOST_RESIDENT_BYTES;
        if round == rounds {
            within &= restarts(&mut node, items)?;
        }
        node.stop()?;
        if rows.is_empty() {
            rows = bare::rows_of(&data)?;
            describe(&rows, items)?;
        }
        std::fs::remove_dir_all(&data)?;
        let bare = bare::write(&work.path().join(format!("bare-{round}")), &rows, BATCH)?;
        let rate = |took: Duration| items as f64 / took.as_secs_f64();
        let ratio = rate(import.took) / rate(bare);
        rates.push((rate(import.took), rate(bare), ratio));
        report(round, &import, rate(import.took), rate(bare), ratio);
    }
    rates.sort_by(|a, b| a.2.total_cmp(&b.2));
    let (import, bare, median) = rates.get(rates.len() / 2).copied().unwrap_or_default();
    let lowest = rates.first().map_or(0.0, |(_, _, ratio)| *ratio);
    println!("median: import {import:.0} items/s, bare {bare:.0} items/s, ratio {median:.3}");
    println!("lowest ratio {lowest:.3} (required {LEAST_RATIO})");
    // Slow syncs hide the import's own cost behind the disk's, so the median of rounds on a disk
    // of changing speed would pass by chance.
    Ok(within && lowest >= LEAST_RATIO)
}

/// `idnode` and `idctl` beside this program, built by the cargo that runs it, if one does.
fn binaries() -> Outcome<Binaries> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let built = Command::new(cargo)
            .args(["build", "--release", "--workspace"])
            .status()?;
        if !built.success() {
            return Err("idnode and idctl do not build".into());
        }
    }
    let own = std::env::current_exe()?;
    let beside = |name: &str| -> Outcome<PathBuf> {
        let path = own.with_file_name(name);
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "there is no {}: run cargo build --release first",
                path.display()
            )
            .into())
        }
    };
    Ok(Binaries {
        idnode: beside("idnode")?,
        idctl: beside("idctl")?,
    })
}

/// One timed import, with what it cost.
fn import(node: &Node, file: &Path, items: usize) -> Outcome<Import> {
    let node_before = node.cpu_s()?;
    let (took, client_cpu_s) = node.import(file)?;
    let node_after = node.cpu_s()?;
    let registered = node.identifiers()?;
    if registered != items as u64 {
        return Err(format!("{registered} of {items} items are registered").into());
    }
    let (peak_bytes, after_bytes) = node.resident_bytes()?;
    Ok(Import {
        took,
        peak_bytes,
        after_bytes,
        node_cpu_s: (node_after.0 - node_before.0, node_after.1 - node_before.1),
        client_cpu_s,
    })
}

/// Starts the node again after `kill -9` and after a clean stop.
fn restarts(node: &mut Node, items: usize) -> Outcome<bool> {
    node.kill()?;
    let after_kill = node.start()?;
    let (peak_bytes, after_bytes) = node.resident_bytes()?;
    if node.identifiers()? != items as u64 {
        return Err("identifiers are missing after kill -9".into());
    }
    node.stop()?;
    let after_stop = node.start()?;
    println!(
        "start with {items} identifiers: {} ms after kill -9 (resident {} MiB, peak {}), {} ms after a clean stop (required under {})",
        after_kill.as_millis(),
        after_bytes >> 20,
        peak_bytes >> 20,
        after_stop.as_millis(),
        LONGEST_START.as_millis(),
    );
    Ok(after_kill.max(after_stop) < LONGEST_START)
}

fn describe(rows: &[bare::Row], items: usize) -> Outcome<()> {
    if rows.len() != items {
        return Err(format!("{} rows in the store, not {items}", rows.len()).into());
    }
    let bytes = |part: fn(&bare::Row) -> usize| rows.iter().map(part).sum::<usize>() / items.max(1);
    println!(
        "{} bytes a key, {} bytes a record",
        bytes(|row| row.0.len()),
        bytes(|row| row.1.len())
    );
    Ok(())
}

fn report(round: usize, import: &Import, import_rate: f64, bare_rate: f64, ratio: f64) {
    println!(
        "round {round}: import {import_rate:.0} items/s in {:.2} s, bare {bare_rate:.0} items/s, ratio {ratio:.3}; \
         node CPU {:.1} s user {:.1} s system, idctl {:.1} s user {:.1} s system; \
         node resident {} MiB after, {} MiB at most",
        import.took.as_secs_f64(),
        import.node_cpu_s.0,
        import.node_cpu_s.1,
        import.client_cpu_s.0,
        import.client_cpu_s.1,
        import.after_bytes >> 20,
        import.peak_bytes >> 20,
    );
}

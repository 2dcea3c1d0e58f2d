//! The yardstick: RocksDB alone.

use std::path::Path;
use std::time::{Duration, Instant};

use rocksdb::{DB, DBCompressionType, IteratorMode, Options, WriteBatch, WriteOptions};

use crate::Outcome;

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// The memtable size of the node's large families.
const WRITE_BUFFER_BYTES: usize = 64 << 20;

/// Every row of the identifiers family of a node that is stopped.
pub fn rows_of(data_dir: &Path) -> Outcome<Vec<Row>> {
    let store = if data_dir.join("CURRENT").exists() {
        data_dir.to_owned()
    } else {
        data_dir.join("registry")
    };
    let db = DB::open_cf_for_read_only(&Options::default(), store, ["identifiers"], false)?;
    let family = db
        .cf_handle("identifiers")
        .ok_or("the store has no identifiers family")?;
    Ok(db
        .iterator_cf(family, IteratorMode::Start)
        .collect::<Result<_, _>>()?)
}

/// Writes rows into an empty database in synced batches; how long the batches took.
pub fn write(dir: &Path, rows: &[Row], batch: usize) -> Outcome<Duration> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    let db = DB::open(&options, dir)?;
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    let started = Instant::now();
    for rows in rows.chunks(batch) {
        let mut batch = WriteBatch::default();
        for (key, value) in rows {
            batch.put(key, value);
        }
        db.write_opt(batch, &synced)?;
    }
    let took = started.elapsed();
    drop(db);
    std::fs::remove_dir_all(dir)?;
    Ok(took)
}

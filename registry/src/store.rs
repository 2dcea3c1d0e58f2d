//! RocksDB: how it is opened and read. Writing happens only through the change log's `append`.

mod room;

use crate::background;
use crate::layout::{Family, LAYOUT_VERSION, META_LAYOUT, prefix_end};
use crate::{Error, Result, private};
use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    Direction, ErrorKind, IteratorMode, Options, ReadOptions, ReadTier, Snapshot, WriteBatch,
    WriteOptions,
};
use room::Room;
use std::path::Path;

/// The share of a memtable's bound that its bloom filter takes: ten bits a key of 350-byte rows, of which
/// half fill it.
const MEMTABLE_BLOOM_RATIO: f64 = 0.0025;
/// Keys from which on their range is looked at first: a look costs about as much as ten keys.
const WORTH_A_SEEK: usize = 100;
/// Most bytes that a batch adds to a key and a value: a tag, a family, two lengths.
const ROW_BYTES: usize = 16;

/// Of level 0, and of those below it.
const COMPRESSION: [DBCompressionType; 2] = [DBCompressionType::None, DBCompressionType::Lz4];

/// Files of level 0 from which on they are merged: a bulk load writes each row about once less often
/// than at RocksDB's own 4, and a read that misses the filters asks a few files more meanwhile.
const LEVEL_0_FILES: i32 = 8;

/// How the store uses memory and files.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Block cache shared by all families, MiB.
    pub block_cache_mib: usize,
    /// One write-ahead file, MiB; its rows are in memory until they are flushed.
    pub write_buffer_mib: usize,
    /// Table files kept open.
    pub max_open_files: i32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            block_cache_mib: 512,
            write_buffer_mib: 64,
            max_open_files: 512,
        }
    }
}

/// What a read restricted to memory found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tiered {
    /// Known without touching the disk: the value, or that there is none.
    Known(Option<Bytes>),
    /// Only the disk knows.
    NotInMemory,
}

/// One change of state: a value put or, with `None`, deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Where.
    pub family: Family,
    /// The key.
    pub key: Bytes,
    /// The new value; `None` deletes.
    pub value: Option<Bytes>,
}

/// The open store.
pub struct Store {
    db: DB,
    memory_only: ReadOptions,
    room: Room,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.db.path())
            .finish()
    }
}

impl Store {
    /// Creates an empty store in a directory that holds none.
    /// Errors: there is one already; the directory can't be written.
    pub fn create(dir: &Path) -> Result<()> {
        if dir.join("CURRENT").exists() {
            return Err(Error::Storage(format!(
                "{} holds a registry already",
                dir.display()
            )));
        }
        private::make_dir(dir).map_err(|error| unusable(dir, &error))?;
        let store = Self::open_with(dir, &StoreOptions::default(), true)?;
        store.write(
            &[Mutation {
                family: Family::Meta,
                key: Bytes::from_static(META_LAYOUT),
                value: Some(Bytes::from_static(&[LAYOUT_VERSION])),
            }],
            true,
        )
    }

    /// Opens a store that [`Store::create`] made.
    /// Errors: there is none; another process has it open; its layout is of another version.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self> {
        if !dir.join("CURRENT").exists() {
            return Err(Error::Storage(format!(
                "{} holds no registry: run `idnode init` first",
                dir.display()
            )));
        }
        let store = Self::open_with(dir, options, false)?;
        match store.get(Family::Meta, META_LAYOUT)?.as_deref() {
            Some(&[LAYOUT_VERSION]) => Ok(store),
            other => Err(Error::Storage(format!(
                "layout version {other:?}; this program reads {LAYOUT_VERSION}"
            ))),
        }
    }

    fn open_with(dir: &Path, options: &StoreOptions, create: bool) -> Result<Self> {
        let cache = Cache::new_hyper_clock_cache(options.block_cache_mib << 20, 0);
        let mut db_options = Options::default();
        db_options.create_if_missing(create);
        db_options.create_missing_column_families(true);
        db_options.set_max_open_files(options.max_open_files);
        db_options.set_skip_stats_update_on_db_open(true);
        db_options.set_max_background_jobs(2);
        db_options.set_bytes_per_sync(1 << 20);
        // What a start must replay, and the one thing that ends a write-ahead file: all are about as
        // long, so that one that is used again is overwritten wholly. Memtables end with the file, far
        // below what would end them otherwise: the rows of one file, and those being flushed.
        db_options.set_max_total_wal_size((options.write_buffer_mib as u64) << 20);
        db_options.set_db_write_buffer_size((options.write_buffer_mib * 4) << 20);
        db_options.set_keep_log_file_num(4);
        // There is one writer: its memtable inserts need not be safe beside others, and so may
        // go on from where the last one was.
        db_options.set_allow_concurrent_memtable_write(false);
        // Syncing a file that has its length already writes no metadata: it takes half as long.
        db_options.set_recycle_log_file_num(2);
        let families = Family::ALL.map(|family| {
            // Every family is described: families opened without options of their own would
            // silently lose the cache and the bloom filters.
            ColumnFamilyDescriptor::new(family.name(), family_options(family, options, &cache))
        });
        let db = DB::open_cf_descriptors(&db_options, dir, families)
            .map_err(|error| not_opened(dir, error))?;
        let mut memory_only = ReadOptions::default();
        memory_only.set_read_tier(ReadTier::BlockCache);
        let room = Room::new(dir);
        Ok(Self {
            db,
            memory_only,
            room,
        })
    }

    fn cf(&self, family: Family) -> Result<&ColumnFamily> {
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| Error::Storage(format!("no column family {}", family.name())))
    }

    /// The value of a key, from memory or disk. May block on the disk.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        let found = self.db.get_pinned_cf(self.cf(family)?, key)?;
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// The values of many keys, in their order. May block on the disk.
    pub fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        if keys.len() >= WORTH_A_SEEK && self.is_empty_between(family, keys)? {
            return Ok(vec![None; keys.len()]);
        }
        let found =
            self.db
                .batched_multi_get_cf(self.cf(family)?, keys.iter().copied(), keys.is_sorted());
        found
            .into_iter()
            .map(|value| Ok(value?.map(|value| Bytes::copy_from_slice(&value))))
            .collect()
    }

    /// Whether nothing is stored from the first to the last of keys. Bulk loads bring serial
    /// numbers that follow those before: one look at the next key there is answers for all.
    fn is_empty_between(&self, family: Family, keys: &[&[u8]]) -> Result<bool> {
        let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else {
            return Ok(true);
        };
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound([last, &[0][..]].concat());
        let mut rows = self.db.raw_iterator_cf_opt(self.cf(family)?, options);
        rows.seek(first);
        rows.status()?;
        Ok(!rows.valid())
    }

    /// The value of a key if memtables, block cache or bloom filters know it. Never blocks on
    /// the disk.
    pub fn get_in_memory(&self, family: Family, key: &[u8]) -> Result<Tiered> {
        match self
            .db
            .get_pinned_cf_opt(self.cf(family)?, key, &self.memory_only)
        {
            Ok(found) => Ok(Tiered::Known(
                found.map(|value| Bytes::copy_from_slice(&value)),
            )),
            Err(error) if error.kind() == ErrorKind::Incomplete => Ok(Tiered::NotInMemory),
            Err(error) => Err(error.into()),
        }
    }

    /// Applies mutations as one atomic batch; with `sync`, durable on return.
    pub fn write(&self, mutations: &[Mutation], sync: bool) -> Result<()> {
        let row = |m: &Mutation| m.key.len() + m.value.as_ref().map_or(0, Bytes::len) + ROW_BYTES;
        let mut batch = WriteBatch::with_capacity_bytes(mutations.iter().map(row).sum());
        for of_family in mutations.chunk_by(|a, b| a.family == b.family) {
            let Some(first) = of_family.first() else {
                continue;
            };
            let cf = self.cf(first.family)?;
            for Mutation { key, value, .. } in of_family {
                match value {
                    Some(value) => batch.put_cf(cf, key, value),
                    None => batch.delete_cf(cf, key),
                }
            }
        }
        let mut write_options = WriteOptions::default();
        write_options.set_sync(sync);
        let write = |batch| self.db.write_opt(batch, &write_options);
        Ok(self.room.write(batch.size_in_bytes(), || write(batch))?)
    }

    /// A view of the whole store as it is now.
    pub fn snapshot(&self) -> View<'_> {
        View {
            store: self,
            snapshot: self.db.snapshot(),
        }
    }

    /// The last key of a family.
    pub fn last_key(&self, family: Family) -> Result<Option<Bytes>> {
        let mut rows = self.db.iterator_cf(self.cf(family)?, IteratorMode::End);
        Ok(rows.next().transpose()?.map(|(key, _)| Bytes::from(key)))
    }

    /// Writes the store as it is now into a new directory on the same disk: table files are shared, the
    /// others copied. What memory has is flushed before. The directory is its owner's alone.
    pub fn checkpoint(&self, dir: &Path) -> Result<()> {
        let checkpoint = rocksdb::checkpoint::Checkpoint::new(&self.db)?;
        checkpoint.create_checkpoint(dir)?;
        private::restrict_dir(dir).map_err(|error| unusable(dir, &error))
    }

    /// Bytes of live table files and memtables.
    pub fn size_bytes(&self) -> u64 {
        let property = |family: Family, name: &str| {
            self.cf(family)
                .ok()
                .and_then(|cf| self.db.property_int_value_cf(cf, name).ok().flatten())
                .unwrap_or(0)
        };
        Family::ALL
            .iter()
            .map(|family| {
                property(*family, "rocksdb.live-sst-files-size")
                    + property(*family, "rocksdb.cur-size-all-mem-tables")
            })
            .sum()
    }
}

/// The store at one moment: later writes don't show.
pub struct View<'a> {
    store: &'a Store,
    snapshot: Snapshot<'a>,
}

impl View<'_> {
    /// The value of a key.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self
            .snapshot
            .get_cf(self.store.cf(family)?, key)?
            .map(Bytes::from))
    }

    /// The values of many keys, in their order. Leaves the block cache alone, as [`View::scan`] does.
    pub fn get_many(&self, family: Family, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options.fill_cache(false);
        let cf = self.store.cf(family)?;
        let mut values = Vec::with_capacity(keys.len());
        for (at, keys) in keys.chunks(2 * background::ROWS).enumerate() {
            // Who asks for few waits for nobody.
            if at > 0 {
                background::give_way();
            }
            let sorted = keys.is_sorted();
            let db = &self.store.db;
            for value in db.batched_multi_get_cf_opt(cf, keys, sorted, &options) {
                values.push(value?.map(|value| Bytes::copy_from_slice(&value)));
            }
        }
        Ok(values)
    }

    /// Rows of `[start, end)` in key order; no end: to the family's last. Reads no further
    /// than it is asked, and leaves the block cache alone so that an export doesn't empty it.
    pub fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes)>> + use<'_>> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        if let Some(end) = end {
            options.set_iterate_upper_bound(end.to_vec());
        }
        let mode = IteratorMode::From(start, Direction::Forward);
        let rows = self
            .snapshot
            .iterator_cf_opt(self.store.cf(family)?, options, mode);
        Ok(rows.map(|row| {
            let (key, value) = row?;
            Ok((Bytes::from(key), Bytes::from(value)))
        }))
    }

    /// The last key of a family.
    pub fn last_key(&self, family: Family) -> Result<Option<Bytes>> {
        let mut rows = self
            .snapshot
            .iterator_cf(self.store.cf(family)?, IteratorMode::End);
        Ok(rows.next().transpose()?.map(|(key, _)| Bytes::from(key)))
    }

    /// Rows whose key begins with `prefix`.
    pub fn scan_prefix(
        &self,
        family: Family,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes)>> + use<'_>> {
        let end = prefix_end(prefix);
        self.scan(family, prefix, end.as_deref())
    }
}

/// Why a store can't be opened. RocksDB speaks of a lock file and an error number where another
/// process has it open.
fn unusable(dir: &Path, error: &std::io::Error) -> Error {
    Error::Storage(format!("{}: {error}", dir.display()))
}

fn not_opened(dir: &Path, error: rocksdb::Error) -> Error {
    let lock = dir.join("LOCK");
    let error = error.into_string();
    if error.contains("lock ") && error.contains(&*lock.to_string_lossy()) {
        let dir = dir.display();
        return Error::Storage(format!("{dir} is in use by another process"));
    }
    Error::Storage(error)
}

fn family_options(family: Family, options: &StoreOptions, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    let mut family_options = Options::default();
    match family {
        Family::Identifiers => {
            blocks.set_bloom_filter(10.0, false);
            blocks.set_block_size(4 << 10);
            // Most keys asked for are in no memtable: new ones, and all of a resolver's.
            family_options.set_memtable_whole_key_filtering(true);
            family_options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
        }
        // Sequential, read in long runs or for keys that are there.
        Family::Log | Family::Superseded => {
            blocks.set_block_size(32 << 10);
        }
        _ => blocks.set_bloom_filter(10.0, false),
    }
    family_options.set_write_buffer_size((options.write_buffer_mib * 2) << 20);
    // What a flush writes is soon merged: compressing it would cost a bulk load a twentieth.
    family_options.set_compression_per_level(&COMPRESSION);
    family_options.set_level_zero_file_num_compaction_trigger(LEVEL_0_FILES);
    family_options.set_block_based_table_factory(&blocks);
    family_options.set_level_compaction_dynamic_level_bytes(true);
    family_options
}

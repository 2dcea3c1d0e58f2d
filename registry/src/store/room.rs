//! Room ahead in the write-ahead file.
//!
//! A sync that finds the file as long as it was, and all of it written before, waits for its data and no
//! more; one after which the file is longer waits for the file's length and blocks, too: 0.18 to 0.23 ms
//! instead of 0.10 to 0.12, measured on ext4 without a journal. RocksDB overwrites files of its own that have been
//! written whole, but only from the third one after a start on. So zeros are written ahead of it, once
//! for about a thousand small batches; the sync of the batch that follows makes them durable. Whoever
//! reads a file after a crash takes zeros for its end, as it does what an overwritten file held before
//! (`log_reader.cc`).

use parking_lot::{Mutex, RwLock};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What is written ahead, bytes.
const ROOM: usize = 1 << 20;
/// A batch beyond it pays for its own: it is written once instead of twice.
const LARGE: usize = ROOM / 16;
/// What RocksDB writes into a new file by itself, from other threads, ends within it.
const OPENING: u64 = 4 << 10;
/// A batch's head, and what frames it in a block of the file, at most for a small one.
const FRAME: usize = 64;

static ZEROS: [u8; ROOM] = [0; ROOM];

/// Keeps room ahead of batches. It is a matter of speed alone: what fails here is left undone.
#[derive(Debug)]
pub(super) struct Room {
    dir: PathBuf,
    /// The same, open: to ask when it changed by its path takes ten times as long. `None`: it could not
    /// be opened, and no room is made.
    opened: Option<File>,
    /// Shared by who writes a batch; whoever makes room is alone, or it would overwrite batches.
    writing: RwLock<()>,
    ahead: Mutex<Ahead>,
}

/// What is known of the file that is being written.
#[derive(Debug, Default)]
struct Ahead {
    /// When a file last came or went.
    dir_changed: (i64, i64),
    number: u64,
    file: Option<File>,
    /// As far as it is written, and as far as batches have come, about.
    written: u64,
    used: u64,
}

impl Room {
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            opened: File::open(dir).ok(),
            writing: RwLock::default(),
            ahead: Mutex::default(),
        }
    }

    /// Writes a batch of about so many bytes, into room if it is a small one.
    pub fn write<T>(&self, bytes: usize, write: impl FnOnce() -> T) -> T {
        if self.is_short_of(bytes) {
            let _alone = self.writing.write();
            let _as_good = self.ahead.lock().make(&self.dir);
        }
        let _with_others = self.writing.read();
        write()
    }

    fn is_short_of(&self, bytes: usize) -> bool {
        let Some(opened) = &self.opened else {
            return false;
        };
        let mut ahead = self.ahead.lock();
        if ahead.look(&self.dir, opened).is_err() {
            return false;
        }
        ahead.used += (bytes + FRAME) as u64;
        ahead.file.is_some() && bytes < LARGE && ahead.used > ahead.written
    }
}

impl Ahead {
    /// Finds the file that is being written, if there may be another one than before.
    fn look(&mut self, dir: &Path, opened: &File) -> io::Result<()> {
        let now = opened.metadata()?;
        let dir_changed = (now.mtime(), now.mtime_nsec());
        if dir_changed != self.dir_changed {
            self.find(dir)?;
            self.dir_changed = dir_changed;
        }
        Ok(())
    }

    fn find(&mut self, dir: &Path) -> io::Result<()> {
        let mut newest = None;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            newest = newest.max(log_number(&path).map(|number| (number, path)));
        }
        let Some((number, path)) = newest.filter(|(number, _)| *number != self.number) else {
            return Ok(());
        };
        let file = File::options().write(true).open(path)?;
        *self = Self {
            dir_changed: self.dir_changed,
            number,
            written: file.metadata()?.len(),
            file: Some(file),
            used: 0,
        };
        Ok(())
    }

    /// Writes ahead of where the file ends. Nobody else may be writing batches.
    fn make(&mut self, dir: &Path) -> io::Result<()> {
        // A directory's time is coarse: the file may be another one by now.
        self.find(dir)?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        let from = file.metadata()?.len().max(OPENING);
        self.used = from;
        self.written = from + ROOM as u64;
        file.write_all_at(&ZEROS, from)
    }
}

/// The number of a write-ahead file, `000042.log`.
fn log_number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".log")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layout::{Family, number_key};
    use crate::store::{Mutation, Store, StoreOptions};
    use bytes::Bytes;

    fn store(dir: &Path, write_buffer_mib: usize) -> Store {
        let options = StoreOptions {
            write_buffer_mib,
            ..StoreOptions::default()
        };
        Store::open(dir, &options).unwrap()
    }

    fn fresh(write_buffer_mib: usize) -> (tempfile::TempDir, PathBuf, Store) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("store");
        Store::create(&dir).unwrap();
        let store = store(&dir, write_buffer_mib);
        (temp, dir, store)
    }

    fn row(number: u64, bytes: usize) -> [Mutation; 1] {
        [Mutation {
            family: Family::Log,
            key: number_key(number),
            value: Some(Bytes::from(vec![number as u8; bytes])),
        }]
    }

    fn has_all(store: &Store, numbers: std::ops::Range<u64>, bytes: usize) -> bool {
        let holds = |it: u64| {
            let [row] = row(it, bytes);
            store.get(row.family, &row.key).unwrap() == row.value
        };
        numbers.into_iter().all(holds)
    }

    /// The file that is being written: its number and its length.
    fn newest_log(dir: &Path) -> (u64, u64) {
        let logs = fs::read_dir(dir).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            Some((log_number(&path)?, fs::metadata(&path).unwrap().len()))
        });
        logs.max().unwrap()
    }

    #[test]
    fn small_batches_leave_the_file_as_long_as_it_was_and_are_found_after_a_crash() {
        let (temp, dir, store) = fresh(64);
        store.write(&row(0, 300), true).unwrap();
        let first = newest_log(&dir);
        assert!(first.1 >= ROOM as u64, "{first:?}");
        for number in 1..2_000 {
            store.write(&row(number, 300), true).unwrap();
        }
        assert_eq!(newest_log(&dir), first);
        // Beyond the room more of it is made, and not a batch is overwritten.
        for number in 2_000..12_000 {
            store.write(&row(number, 300), number % 100 == 0).unwrap();
        }
        let later = newest_log(&dir);
        assert!(later.0 == first.0 && later.1 > first.1, "{later:?}");
        // As it would be found after a crash.
        let copy = temp.path().join("copy");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        let found = self::store(&copy, 64);
        assert!(has_all(&found, 0..12_000, 300));
    }

    #[test]
    fn a_large_batch_is_written_once() {
        let (_temp, dir, store) = fresh(64);
        let before = newest_log(&dir).1;
        store.write(&row(1, 2 * LARGE), true).unwrap();
        let grown = newest_log(&dir).1 - before;
        assert!(grown < 3 * LARGE as u64, "{grown}");
    }

    #[test]
    fn batches_of_many_writers_survive_changes_of_files() {
        let (_temp, dir, store) = fresh(1);
        let first = newest_log(&dir).0;
        std::thread::scope(|scope| {
            for part in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    for number in part * 4_000..(part + 1) * 4_000 {
                        store.write(&row(number, 1_000), number % 50 == 0).unwrap();
                    }
                });
            }
        });
        assert!(newest_log(&dir).0 > first + 1);
        assert!(has_all(&store, 0..12_000, 1_000));
        drop(store);
        assert!(has_all(&self::store(&dir, 1), 0..12_000, 1_000));
    }
}

//! The embedded log: entries and state are one RocksDB batch, synced before it returns.

use super::{AppendError, ChangeLog};
use crate::change::LogEntry;
use crate::layout::{Family, decode_value, encode_value, number_key, parse_number};
use crate::store::{Mutation, Store};
use crate::{Error, Sequence};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Most entries one `trim` batch deletes.
const TRIM_BATCH: usize = 10_000;

/// The log in the `log` family of the store.
#[derive(Debug)]
pub struct LocalLog {
    store: Arc<Store>,
    head: AtomicU64,
    failed: AtomicBool,
}

impl LocalLog {
    /// Opens the log of a store.
    pub fn open(store: Arc<Store>) -> Result<Self, Error> {
        let head = store
            .last_key(Family::Log)?
            .map_or(Ok(0), |key| parse_number(&key))?;
        Ok(Self {
            store,
            head: AtomicU64::new(head),
            failed: AtomicBool::new(false),
        })
    }
}

impl ChangeLog for LocalLog {
    fn head(&self) -> Result<Sequence, Error> {
        Ok(self.head.load(Ordering::Acquire))
    }

    fn oldest(&self) -> Result<Sequence, Error> {
        let view = self.store.snapshot();
        let mut rows = view.scan(Family::Log, &[], None)?;
        match rows.next().transpose()? {
            Some((key, _)) => parse_number(&key),
            None => Ok(self.head()? + 1),
        }
    }

    fn append(
        &self,
        expected_head: Sequence,
        entries: &[LogEntry],
        mut mutations: Vec<Mutation>,
    ) -> Result<(), AppendError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(AppendError::Failed("an earlier write failed".into()));
        }
        let head = self.head.load(Ordering::Acquire);
        if head != expected_head {
            return Err(AppendError::Conflict { head });
        }
        for (entry, sequence) in entries.iter().zip(head + 1..) {
            if entry.sequence != sequence {
                return Err(AppendError::NotContiguous {
                    sequence: entry.sequence,
                });
            }
            mutations.push(Mutation {
                family: Family::Log,
                key: number_key(sequence),
                value: Some(encode_value(entry)),
            });
        }
        // After a failed sync nobody knows what is on the disk: no further write may build on
        // it. Reads go on; opening again finds out.
        self.store.write(&mutations, true).map_err(|error| {
            self.failed.store(true, Ordering::Release);
            AppendError::Failed(error.to_string())
        })?;
        self.head
            .store(head + entries.len() as u64, Ordering::Release);
        Ok(())
    }

    fn read(
        &self,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        let view = self.store.snapshot();
        let mut entries = Vec::new();
        let mut bytes = 0;
        for row in view.scan(Family::Log, &from.to_be_bytes(), None)? {
            let (key, value) = row?;
            let expected = from + entries.len() as u64;
            if parse_number(&key)? != expected {
                let what = format!("entry {expected} is no longer kept; the oldest one");
                return Err(Error::Bound {
                    what,
                    limit: parse_number(&key)?,
                });
            }
            bytes += value.len();
            entries.push(decode_value(&value)?);
            if entries.len() >= max_entries || bytes >= max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    fn trim(&self, before: Sequence) -> Result<(), Error> {
        // The last entry is always kept: it is what remembers the head across restarts.
        let before = before.min(self.head()?);
        loop {
            let view = self.store.snapshot();
            let batch = view
                .scan(Family::Log, &[], Some(&before.to_be_bytes()))?
                .take(TRIM_BATCH)
                .map(|row| {
                    row.map(|(key, _)| Mutation {
                        family: Family::Log,
                        key,
                        value: None,
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            if batch.is_empty() {
                return Ok(());
            }
            self.store.write(&batch, false)?;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::log::contract;
    use crate::store::StoreOptions;

    #[test]
    fn the_embedded_log_keeps_the_contract() {
        contract::check(|| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_owned();
            Store::create(&path).unwrap();
            contract::Subject::new(move || {
                let _keep = &dir;
                let store = Arc::new(Store::open(&path, &StoreOptions::default()).unwrap());
                let reader = store.clone();
                let log = LocalLog::open(store).unwrap();
                (
                    Box::new(log),
                    Box::new(move |family, key: &[u8]| reader.get(family, key).unwrap()),
                )
            })
        });
    }
}

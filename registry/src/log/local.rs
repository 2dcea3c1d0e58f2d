//! The embedded log: entries and state are one RocksDB batch, synced before it returns.
//!
//! An identifier's record that the batch puts into the state is left out of the entry and found
//! there on reading, or, when it has been replaced since, among the superseded ones: nothing is
//! written twice.

use super::{AppendError, ChangeLog};
use crate::change::{Change, IdentifierChange, IdentifierChanges, LogEntry};
use crate::layout::{Family, decode_value, encode_value, index_key, number_key, parse_number};
use crate::record::Record;
use crate::store::{Mutation, Store, View};
use crate::{Error, Sequence};
use bytes::Bytes;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Most entries whose records are looked up together, and about as many records, unless one entry
/// has more.
const TOGETHER: usize = 256;
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
        let mut rows = Vec::with_capacity(entries.len());
        for (entry, sequence) in entries.iter().zip(head + 1..) {
            if entry.sequence != sequence {
                return Err(AppendError::NotContiguous {
                    sequence: entry.sequence,
                });
            }
            rows.push(Mutation {
                family: Family::Log,
                key: number_key(sequence),
                value: Some(encode_value(&without_records(entry, &mutations))),
            });
        }
        mutations.append(&mut rows);
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
        let mut raw = raw_entries(&view, from)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        loop {
            let mut some = Vec::new();
            let mut records = 0;
            while some.len() < TOGETHER && records < TOGETHER {
                let Some(entry) = raw.next().transpose()? else {
                    break;
                };
                records += lacking(&entry);
                some.push(entry);
            }
            if some.is_empty() {
                return Ok(entries);
            }
            add_records(&mut some, &view)?;
            for entry in some {
                bytes += entry.encoded_len();
                entries.push(entry);
                if entries.len() >= max_entries || bytes >= max_bytes {
                    return Ok(entries);
                }
            }
        }
    }

    fn head_in(&self, view: &View<'_>) -> Result<Sequence, Error> {
        view.last_key(Family::Log)?
            .map_or(Ok(0), |key| parse_number(&key))
    }

    fn read_in(
        &self,
        view: &View<'_>,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for entry in raw_entries(view, from)? {
            let entry = entry?;
            bytes += entry.encoded_len();
            entries.push(entry);
            if entries.len() >= max_entries || bytes >= max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    fn trim(&self, before: Sequence) -> Result<(), Error> {
        // The last entry is always kept: it is what remembers the head across restarts.
        let end = before.min(self.head()?).to_be_bytes();
        if !self.delete_entries_before(&end)? {
            self.delete_superseded_before(&end)?;
        }
        Ok(())
    }
}

impl LocalLog {
    /// Deletes entries, each with the records it replaced, which nobody can ask for any more;
    /// whether all of them told which those were.
    fn delete_entries_before(&self, end: &[u8]) -> Result<bool, Error> {
        let mut all_told = true;
        loop {
            let view = self.store.snapshot();
            let mut batch = Vec::new();
            for row in view.scan(Family::Log, &[], Some(end))? {
                let (key, value) = row?;
                all_told &= delete_replaced(&decode_value(&value)?, &mut batch);
                batch.push(deletion(Family::Log, key));
                if batch.len() >= TRIM_BATCH {
                    break;
                }
            }
            if batch.is_empty() {
                return Ok(all_told);
            }
            self.store.write(&batch, false)?;
        }
    }

    /// Deletes the superseded records that entries before `end` wrote. Some of them may have
    /// been replaced by entries that are kept.
    fn delete_superseded_before(&self, end: &[u8]) -> Result<(), Error> {
        loop {
            let view = self.store.snapshot();
            let rows = view.scan(Family::Superseded, &[], Some(end))?;
            let batch = rows
                .take(TRIM_BATCH)
                .map(|row| row.map(|(key, _)| deletion(Family::Superseded, key)))
                .collect::<Result<Vec<_>, Error>>()?;
            if batch.is_empty() {
                return Ok(());
            }
            self.store.write(&batch, false)?;
        }
    }
}

fn deletion(family: Family, key: Bytes) -> Mutation {
    Mutation {
        family,
        key,
        value: None,
    }
}

/// Adds the deletion of the records an entry replaced; whether it tells which they are.
fn delete_replaced(entry: &LogEntry, batch: &mut Vec<Mutation>) -> bool {
    let Some(Change::Identifiers(changes)) = &entry.change else {
        return true;
    };
    let mut all_told = true;
    for item in &changes.items {
        match item.replaced {
            Some(0) => {}
            Some(version) => {
                let key = index_key(version, &item.key);
                batch.push(deletion(Family::Superseded, key));
            }
            None => all_told = false,
        }
    }
    all_told
}

/// Entries of a view from a number on, as they are kept.
fn raw_entries<'a>(
    view: &'a View<'_>,
    from: Sequence,
) -> Result<impl Iterator<Item = Result<LogEntry, Error>> + use<'a>, Error> {
    let rows = view.scan(Family::Log, &from.to_be_bytes(), None)?;
    Ok(rows.zip(from..).map(|(row, expected)| {
        let (key, value) = row?;
        let kept = parse_number(&key)?;
        if kept != expected {
            let what = format!("entry {expected} is no longer kept; the oldest one");
            return Err(Error::Bound { what, limit: kept });
        }
        decode_value(&value)
    }))
}

/// An entry as it is kept beside mutations that are sorted by key: without the records among
/// them.
fn without_records(entry: &LogEntry, mutations: &[Mutation]) -> LogEntry {
    let Some(Change::Identifiers(changes)) = &entry.change else {
        return entry.clone();
    };
    let rows = mutations
        .chunk_by(|a, b| a.family == b.family)
        .find(|rows| {
            rows.first()
                .is_some_and(|row| row.family == Family::Identifiers)
        })
        .unwrap_or_default();
    let mut next = 0;
    let kept = |item: &IdentifierChange| {
        // Bulk loads come in order: the row after the last one is mostly right.
        if rows.get(next).is_none_or(|row| row.key != item.key) {
            next = rows.partition_point(|row| row.key < item.key);
        }
        let in_state = rows
            .get(next)
            .is_some_and(|row| row.key == item.key && row.value.as_ref() == Some(&item.record));
        next += 1;
        IdentifierChange {
            key: item.key.clone(),
            record: if in_state {
                Bytes::new()
            } else {
                item.record.clone()
            },
            replaced: item.replaced,
            enterprise: item.enterprise,
        }
    };
    let items = changes.items.iter().map(kept).collect();
    LogEntry {
        sequence: entry.sequence,
        committed_at_ms: entry.committed_at_ms,
        actor: entry.actor.clone(),
        change: Some(Change::Identifiers(IdentifierChanges { items })),
    }
}

/// How many of an entry's records are kept elsewhere.
fn lacking(entry: &LogEntry) -> usize {
    match &entry.change {
        Some(Change::Identifiers(changes)) => {
            let items = changes.items.iter();
            items.filter(|item| item.record.is_empty()).count()
        }
        _ => 0,
    }
}

/// Adds to entries the records that are kept elsewhere, all that are missing at once: one by one,
/// each would unpack a block of the store for itself.
fn add_records(entries: &mut [LogEntry], view: &View<'_>) -> Result<(), Error> {
    let mut missing: Vec<(Sequence, &mut IdentifierChange)> = Vec::new();
    for entry in entries {
        if let Some(Change::Identifiers(changes)) = &mut entry.change {
            let items = changes.items.iter_mut();
            let lacking = items.filter(|item| item.record.is_empty());
            missing.extend(lacking.map(|item| (entry.sequence, item)));
        }
    }
    let keys: Vec<Bytes> = missing.iter().map(|(_, item)| item.key.clone()).collect();
    let current = view.get_many(Family::Identifiers, &keys)?;
    let mut replaced = Vec::new();
    for ((sequence, item), stored) in missing.into_iter().zip(current) {
        match stored.filter(|stored| Record::stored_version(stored) == Some(sequence)) {
            Some(record) => item.record = record,
            None => replaced.push((sequence, item)),
        }
    }
    let superseded = |(sequence, item): &(Sequence, &mut IdentifierChange)| {
        let key: &[u8] = &item.key;
        index_key(*sequence, key)
    };
    let keys: Vec<Bytes> = replaced.iter().map(superseded).collect();
    let found = view.get_many(Family::Superseded, &keys)?;
    for ((sequence, item), stored) in replaced.into_iter().zip(found) {
        let lost = || Error::Storage(format!("entry {sequence} of the log lacks a record"));
        item.record = stored.ok_or_else(lost)?;
    }
    Ok(())
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

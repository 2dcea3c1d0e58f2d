//! The journal: what the node has told others and owes them, never what is true. Told things are
//! journalled before they are sent, so that after a crash it is known what may have arrived.

use crate::layout::{self, Family, prefix_end};
use crate::store::{Mutation, Store};
use crate::{Error, Result, Sequence};
use bytes::Bytes;
use prost::Message;
use std::ops::Bound;
use std::sync::Arc;

/// Longest key within a topic, bytes.
pub const MAX_KEY_BYTES: usize = 1_024;

/// What an entry is about. The number begins its key and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Topic {
    /// How far a reader of the change log has come, by the reader's name.
    Cursor = 1,
    /// Commands of provisioning, by their client transaction id.
    Transaction = 2,
    /// Service messages that were taken from the national node's queue, by their id.
    Message = 3,
    /// Reports, by kind and period.
    Report = 4,
    /// Fault and recovery events.
    Event = 5,
    /// Escrow deposits.
    Deposit = 6,
    /// Emergency takeover and hand-back.
    Takeover = 7,
    /// Prefixes of sibling nodes and where they are.
    Route = 8,
}

/// One change of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    topic: Topic,
    key: Bytes,
    value: Option<Bytes>,
}

impl Entry {
    /// Puts a message in place of whatever the key had.
    pub fn put(topic: Topic, key: impl AsRef<[u8]>, message: &impl Message) -> Self {
        Self {
            topic,
            key: Bytes::copy_from_slice(key.as_ref()),
            value: Some(layout::encode_value(message)),
        }
    }

    /// Forgets a key.
    pub fn delete(topic: Topic, key: impl AsRef<[u8]>) -> Self {
        Self {
            topic,
            key: Bytes::copy_from_slice(key.as_ref()),
            value: None,
        }
    }

    /// How far a reader of the change log has come, to be committed with what it made of it.
    pub fn cursor(name: &str, sequence: Sequence) -> Self {
        Self::put(Topic::Cursor, name, &Cursor { sequence })
    }
}

/// A place in the change log.
#[derive(Clone, PartialEq, Eq, Message)]
struct Cursor {
    #[prost(uint64, tag = "1")]
    sequence: Sequence,
}

/// The journal of a registry's store. Its methods may block on the disk.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<Store>,
}

impl Journal {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// What a key has.
    ///
    /// # Errors
    /// The store fails, or holds another kind of message.
    pub fn get<M: Message + Default>(&self, topic: Topic, key: &[u8]) -> Result<Option<M>> {
        let stored = self.store.get(Family::Upward, &stored_key(topic, key))?;
        stored
            .map(|stored| layout::decode_value(&stored))
            .transpose()
    }

    /// Entries of a topic between two keys, in their order, at most `limit`.
    ///
    /// # Errors
    /// The store fails, or holds another kind of message.
    pub fn scan<M: Message + Default>(
        &self,
        topic: Topic,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        limit: usize,
    ) -> Result<Vec<(Bytes, M)>> {
        let after = |key: &[u8]| [&stored_key(topic, key)[..], &[0]].concat();
        let start = match range.0 {
            Bound::Included(key) => stored_key(topic, key),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => vec![topic as u8],
        };
        let end = match range.1 {
            Bound::Included(key) => Some(after(key)),
            Bound::Excluded(key) => Some(stored_key(topic, key)),
            Bound::Unbounded => prefix_end(&[topic as u8]),
        };
        if end.as_ref().is_some_and(|end| *end <= start) {
            return Ok(Vec::new());
        }
        let view = self.store.snapshot();
        let rows = view.scan(Family::Upward, &start, end.as_deref())?;
        rows.take(limit)
            .map(|row| {
                let (key, value) = row?;
                Ok((key.slice(1..), layout::decode_value(&value)?))
            })
            .collect()
    }

    /// All of a topic, in the order of keys, at most `limit`.
    ///
    /// # Errors
    /// As [`Journal::scan`].
    pub fn all<M: Message + Default>(&self, topic: Topic, limit: usize) -> Result<Vec<(Bytes, M)>> {
        self.scan(topic, (Bound::Unbounded, Bound::Unbounded), limit)
    }

    /// Commits entries as one atomic batch, durable on return: the only way into the family.
    ///
    /// # Errors
    /// The store fails; a key is longer than [`MAX_KEY_BYTES`]. Nothing is written then.
    pub fn commit(&self, entries: &[Entry]) -> Result<()> {
        if let Some(long) = entries.iter().find(|it| it.key.len() > MAX_KEY_BYTES) {
            let reason = format!("a key of {} bytes in the journal", long.key.len());
            return Err(Error::Storage(reason));
        }
        let mutations: Vec<Mutation> = entries
            .iter()
            .map(|entry| Mutation {
                family: Family::Upward,
                key: stored_key(entry.topic, &entry.key).into(),
                value: entry.value.clone(),
            })
            .collect();
        self.store.write(&mutations, true)
    }

    /// How far a reader of the change log has come: the last entry it needs no more; 0 at first.
    ///
    /// # Errors
    /// The store fails.
    pub fn cursor(&self, name: &str) -> Result<Sequence> {
        let cursor: Option<Cursor> = self.get(Topic::Cursor, name.as_bytes())?;
        Ok(cursor.map_or(0, |cursor| cursor.sequence))
    }

    /// Moves a reader's cursor on. What it made of the log goes into the same batch instead, by
    /// [`Entry::cursor`].
    ///
    /// # Errors
    /// The store fails.
    pub fn advance(&self, name: &str, sequence: Sequence) -> Result<()> {
        self.commit(&[Entry::cursor(name, sequence)])
    }
}

fn stored_key(topic: Topic, key: &[u8]) -> Vec<u8> {
    [&[topic as u8], key].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::StoreOptions;

    fn journal(dir: &std::path::Path) -> Journal {
        Journal::new(Arc::new(
            Store::open(dir, &StoreOptions::default()).unwrap(),
        ))
    }

    fn cursor(sequence: Sequence) -> Cursor {
        Cursor { sequence }
    }

    #[test]
    fn what_was_committed_is_there_after_a_restart_and_topics_are_apart() {
        let dir = tempfile::tempdir().unwrap();
        Store::create(dir.path()).unwrap();
        let first = journal(dir.path());
        assert_eq!(first.cursor("epp").unwrap(), 0);
        first
            .commit(&[
                Entry::put(Topic::Transaction, "a", &cursor(1)),
                Entry::put(Topic::Message, "a", &cursor(2)),
                Entry::cursor("epp", 7),
            ])
            .unwrap();
        drop(first);
        let again = journal(dir.path());
        assert_eq!(again.cursor("epp").unwrap(), 7);
        let one: Option<Cursor> = again.get(Topic::Transaction, b"a").unwrap();
        assert_eq!(one, Some(cursor(1)));
        again
            .commit(&[Entry::delete(Topic::Transaction, "a")])
            .unwrap();
        let gone: Option<Cursor> = again.get(Topic::Transaction, b"a").unwrap();
        assert_eq!(gone, None);
        let other: Option<Cursor> = again.get(Topic::Message, b"a").unwrap();
        assert_eq!(other, Some(cursor(2)));
        again.advance("epp", 9).unwrap();
        assert_eq!(again.cursor("epp").unwrap(), 9);
    }

    #[test]
    fn a_scan_keeps_to_its_range_and_limit() {
        let dir = tempfile::tempdir().unwrap();
        Store::create(dir.path()).unwrap();
        let journal = journal(dir.path());
        let entries: Vec<Entry> = ["a", "b", "c", "d"]
            .into_iter()
            .zip(1..)
            .map(|(key, number)| Entry::put(Topic::Report, key, &cursor(number)))
            .collect();
        journal.commit(&entries).unwrap();
        journal
            .commit(&[Entry::put(Topic::Event, "b", &cursor(9))])
            .unwrap();
        let keys = |range, limit| -> Vec<u64> {
            let found: Vec<(Bytes, Cursor)> = journal.scan(Topic::Report, range, limit).unwrap();
            found.into_iter().map(|(_, it)| it.sequence).collect()
        };
        use Bound::{Excluded, Included, Unbounded};
        assert_eq!(keys((Unbounded, Unbounded), 9), [1, 2, 3, 4]);
        assert_eq!(keys((Included(b"b"), Excluded(b"d")), 9), [2, 3]);
        assert_eq!(keys((Excluded(b"b"), Included(b"d")), 9), [3, 4]);
        assert_eq!(keys((Included(b"b"), Unbounded), 2), [2, 3]);
        assert!(keys((Included(b"d"), Excluded(b"b")), 9).is_empty());
    }

    #[test]
    fn a_key_that_is_too_long_spoils_the_whole_batch() {
        let dir = tempfile::tempdir().unwrap();
        Store::create(dir.path()).unwrap();
        let journal = journal(dir.path());
        let long = vec![b'x'; MAX_KEY_BYTES + 1];
        let batch = [
            Entry::put(Topic::Event, "a", &cursor(1)),
            Entry::put(Topic::Event, &long, &cursor(2)),
        ];
        assert!(journal.commit(&batch).is_err());
        let all: Vec<(Bytes, Cursor)> = journal.all(Topic::Event, 9).unwrap();
        assert_eq!(all, []);
    }
}

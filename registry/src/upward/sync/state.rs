//! What the journal keeps of the stream: the log's identity, and how far it was told.

use super::CURSOR;
use crate::upward::{Entry, Journal, Topic};
use crate::{Error, Result, Sequence};
use bytes::Bytes;
use idnode_proto::identifier::Prefix;

/// Bytes of a log's name.
const NAME_BYTES: usize = 16;

/// What the journal keeps. Its first field is a cursor's, so that [`Journal::cursor`] reads it, too.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct State {
    /// Everything up to this entry is durable at the national node, as far as this node knows.
    #[prost(uint64, tag = "1")]
    pub told: Sequence,
    /// The log's name: random. One that begins anew at the national node has a new one.
    #[prost(bytes = "bytes", tag = "2")]
    pub log: Bytes,
    /// The prefixes below which is told.
    #[prost(string, tag = "3")]
    pub scope: String,
}

impl State {
    /// What is kept; at first, and when other prefixes are told of than before, a new log.
    ///
    /// # Errors
    /// The store fails.
    pub fn open(journal: &Journal, prefixes: &[Prefix]) -> Result<Self> {
        let names: Vec<String> = prefixes.iter().map(Prefix::canonical).collect();
        let scope = names.join(",");
        let kept: Option<Self> = journal.get(Topic::Cursor, CURSOR.as_bytes())?;
        match kept {
            Some(kept) if kept.log.len() == NAME_BYTES && kept.scope == scope => Ok(kept),
            _ => {
                let state = Self::anew(scope)?;
                state.keep(journal)?;
                Ok(state)
            }
        }
    }

    /// The log's name; empty: it was never told of.
    ///
    /// # Errors
    /// The store fails.
    pub fn log_name(journal: &Journal) -> Result<Bytes> {
        let kept: Option<Self> = journal.get(Topic::Cursor, CURSOR.as_bytes())?;
        Ok(kept.unwrap_or_default().log)
    }

    /// The log under a new name, of which nothing is told.
    fn anew(scope: String) -> Result<Self> {
        let mut name = [0; NAME_BYTES];
        let failed = |error| Error::Storage(format!("no randomness: {error}"));
        getrandom::fill(&mut name).map_err(failed)?;
        Ok(Self {
            told: 0,
            log: Bytes::copy_from_slice(&name),
            scope,
        })
    }

    /// Gives the log a new name: the national node takes it for another one, and is told everything
    /// anew.
    ///
    /// # Errors
    /// The store fails.
    pub fn rename(journal: &Journal) -> Result<()> {
        let kept: Option<Self> = journal.get(Topic::Cursor, CURSOR.as_bytes())?;
        Self::anew(kept.unwrap_or_default().scope)?.keep(journal)
    }

    /// Writes it, unless the log has another name by now. Durable on return.
    ///
    /// # Errors
    /// The store fails.
    pub fn keep_on(&self, journal: &Journal) -> Result<()> {
        let kept: Option<Self> = journal.get(Topic::Cursor, CURSOR.as_bytes())?;
        match kept.is_some_and(|it| it.log == self.log) {
            true => self.keep(journal),
            false => Ok(()),
        }
    }

    /// Writes it. Durable on return.
    ///
    /// # Errors
    /// The store fails.
    pub fn keep(&self, journal: &Journal) -> Result<()> {
        journal.commit(&[Entry::put(Topic::Cursor, CURSOR, self)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::{Store, StoreOptions};
    use std::sync::Arc;

    #[test]
    fn a_log_keeps_its_name_until_other_prefixes_are_told_of() {
        let dir = tempfile::tempdir().unwrap();
        Store::create(dir.path()).unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let journal = Journal::new(Arc::new(store));
        let own = [Prefix::parse("88.118").unwrap()];
        let first = State::open(&journal, &own).unwrap();
        assert_eq!((first.told, first.log.len()), (0, NAME_BYTES));
        let moved = State {
            told: 7,
            ..first.clone()
        };
        moved.keep(&journal).unwrap();
        assert_eq!(State::open(&journal, &own).unwrap(), moved);
        assert_eq!(journal.cursor(CURSOR).unwrap(), 7);
        let all = State::open(&journal, &[]).unwrap();
        assert!(all.told == 0 && all.log != first.log);
        State::rename(&journal).unwrap();
        let renamed = State::open(&journal, &[]).unwrap();
        assert!(renamed.log != all.log && renamed.scope.is_empty());
        // What was on its way under the old name is not noted under the new one.
        moved.keep_on(&journal).unwrap();
        assert_eq!(State::open(&journal, &[]).unwrap(), renamed);
    }
}

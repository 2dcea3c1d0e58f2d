//! The prefixes an identifier or prefix is below, at one moment.

use idnode_proto::identifier::{Identifier, Prefix, Relation};
use idnode_registry::Result;
use idnode_registry::prefix::PrefixRecord;
use std::sync::Arc;

/// Finds a prefix by its key.
type Lookup<'a> = dyn FnMut(&[u8]) -> Result<Option<Arc<PrefixRecord>>> + 'a;

/// The registered prefixes that may decide about a key, the longest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    prefixes: Vec<Arc<PrefixRecord>>,
}

impl Chain {
    /// Of an identifier, by a look-up of prefixes by their keys.
    pub(super) fn of(identifier: &Identifier, lookup: &mut Lookup<'_>) -> Result<Self> {
        let mut prefixes = Vec::new();
        for candidate in identifier.prefix_candidates() {
            prefixes.extend(lookup(candidate.key)?);
        }
        Ok(Self { prefixes })
    }

    /// Of a prefix, itself included.
    pub(super) fn of_prefix(prefix: &Prefix, lookup: &mut Lookup<'_>) -> Result<Self> {
        let mut prefixes = Vec::new();
        let above = std::iter::successors(Some(prefix.clone()), Prefix::parent);
        for candidate in above {
            prefixes.extend(lookup(candidate.key())?);
        }
        Ok(Self { prefixes })
    }

    /// The prefix with exactly this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Arc<PrefixRecord>> {
        self.prefixes.iter().find(|record| record.key == *key)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<PrefixRecord>> {
        self.prefixes.iter()
    }

    /// The prefix that decides about an identifier, as
    /// [`idnode_registry::prefix_table::PrefixTable::governing`] finds it.
    pub(super) fn governing(&self, identifier: &Identifier) -> Option<&Arc<PrefixRecord>> {
        identifier.prefix_candidates().find_map(|candidate| {
            let record = self.get(candidate.key)?;
            let governs = candidate.relation == Relation::Owner || record.delegation.is_some();
            governs.then_some(record)
        })
    }
}

/// The prefixes that are above the place where a walk through all keys has come to.
#[derive(Debug, Default)]
pub(super) struct Path {
    prefixes: Vec<Arc<PrefixRecord>>,
}

impl Path {
    /// Moves on to a key: what is not above it is left behind. Keys come in order, so that it
    /// is never met again.
    pub(super) fn move_to(&mut self, key: &[u8]) {
        while self
            .prefixes
            .last()
            .is_some_and(|record| !key.starts_with(&record.key))
        {
            self.prefixes.pop();
        }
    }

    /// Moves on to a prefix.
    pub(super) fn push(&mut self, record: Arc<PrefixRecord>) {
        self.move_to(&record.key);
        self.prefixes.push(record);
    }

    /// A prefix above this place.
    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<PrefixRecord>> {
        let found = self.prefixes.iter().find(|record| record.key == *key);
        found.cloned()
    }
}

//! The state a group of commands sees: the store, and on top of it what the group itself has
//! written so far.

use super::Held;
use super::known::Known;
use crate::change::{Change, LogEntry};
use crate::credential::Credential;
use crate::enterprise::{Enterprise, EnterpriseId};
use crate::layout::{Family, decode_value, encode_value, index_key};
use crate::prefix::PrefixRecord;
use crate::prefix_table::PrefixTable;
use crate::read::Counters;
use crate::record::Record;
use crate::store::{Mutation, Store};
use crate::{Error, Result, Sequence};
use bytes::Bytes;
use foldhash::fast::RandomState;
use idnode_proto::identifier::{Identifier, IdentifierError, Prefix, PrefixCandidates, Relation};
use indexmap::{Equivalent, IndexMap};
use std::sync::Arc;

/// Where a value is.
type Slot = (Family, Bytes);

/// A [`Slot`] asked for. Hashes as one.
#[derive(Hash)]
struct Place<'a>(Family, &'a [u8]);

impl Equivalent<Slot> for Place<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        self.0 == slot.0 && self.1 == slot.1
    }
}

/// What a group has written, in the order of the first write to each slot. Kept empty between
/// groups, so that the next one finds the room that this one needed.
#[derive(Debug, Default)]
pub(crate) struct Overlay(IndexMap<Slot, Option<Bytes>, RandomState>);

/// One group's view and its writes.
pub(crate) struct Txn<'a> {
    store: &'a Store,
    prefixes: &'a PrefixTable,
    known: &'a Known,
    overlay: IndexMap<Slot, Option<Bytes>, RandomState>,
    /// What the current command has overwritten, newest last: the slot's place in the overlay,
    /// and what it held there.
    undo: Vec<(usize, Option<Option<Bytes>>)>,
    entries: Vec<LogEntry>,
    head: Sequence,
    now_ms: u64,
    /// What the current command may not register in.
    held: Option<Arc<Held>>,
}

impl<'a> Txn<'a> {
    /// A view on top of the log's head, at this time.
    pub fn new(
        store: &'a Store,
        prefixes: &'a PrefixTable,
        known: &'a Known,
        head: Sequence,
        now_ms: u64,
        overlay: Overlay,
    ) -> Self {
        Self {
            store,
            prefixes,
            known,
            overlay: overlay.0,
            undo: Vec::new(),
            entries: Vec::new(),
            head,
            now_ms,
            held: None,
        }
    }

    /// What the command that begins now may not register in.
    pub fn keep_out_of(&mut self, held: Option<Arc<Held>>) {
        self.held = held;
    }

    /// Err if what has these candidates is taken over.
    pub fn require_here(&self, candidates: PrefixCandidates<'_>) -> Result<()> {
        match &self.held {
            Some(held) => held.require_outside(candidates),
            None => Ok(()),
        }
    }

    /// When this group commits, milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The number the current command's change will have.
    pub fn next_sequence(&self) -> Sequence {
        self.head + self.entries.len() as u64 + 1
    }

    /// A value as the current command sees it.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        match self.written(family, key) {
            Some(written) => Ok(written.cloned()),
            None if family == Family::Statistics => self.known.counters(self.store, key),
            None => self.store.get(family, key),
        }
    }

    /// What the group has put, or deleted, at a key; `None`: it has not touched it.
    pub fn written(&self, family: Family, key: &[u8]) -> Option<Option<&Bytes>> {
        self.overlay.get(&Place(family, key)).map(Option::as_ref)
    }

    /// The stored values of keys, in their order, without what the group has written.
    pub fn stored(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>> {
        self.store.get_many(family, keys)
    }

    /// A stored message as the current command sees it.
    pub fn get_message<M: prost::Message + Default>(
        &self,
        family: Family,
        key: &[u8],
    ) -> Result<Option<M>> {
        self.get(family, key)?
            .map(|stored| decode_value(&stored))
            .transpose()
    }

    /// A credential as the current command sees it.
    pub fn credential(&self, id: &str) -> Result<Option<Arc<Credential>>> {
        let key = id.as_bytes();
        match self.written(Family::Credentials, key) {
            Some(written) => decoded(written),
            None => self.known.credential(self.store, key),
        }
    }

    /// An enterprise as the current command sees it.
    pub fn enterprise(&self, id: EnterpriseId) -> Result<Option<Arc<Enterprise>>> {
        let key = id.0.to_be_bytes();
        match self.written(Family::Enterprises, &key) {
            Some(written) => decoded(written),
            None => self.known.enterprise(self.store, &key),
        }
    }

    /// Makes room for so many writes.
    pub fn reserve(&mut self, writes: usize) {
        self.overlay.reserve(writes);
        self.undo.reserve(writes);
    }

    /// Puts or, with `None`, deletes.
    pub fn set(&mut self, family: Family, key: Bytes, value: Option<Bytes>) {
        self.undo
            .push(self.overlay.insert_full((family, key), value));
    }

    /// Puts a message.
    pub fn put_message<M: prost::Message>(&mut self, family: Family, key: Bytes, message: &M) {
        self.set(family, key, Some(encode_value(message)));
    }

    /// Adds the current command's log entry.
    pub fn log(&mut self, actor: &str, change: Change) {
        let sequence = self.next_sequence();
        let entry = LogEntry {
            sequence,
            committed_at_ms: self.now_ms,
            actor: actor.to_owned(),
            change: Some(change),
        };
        self.entries.push(entry);
    }

    /// Ends a command that succeeded: its writes stay.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Ends a command that failed: its writes go. A command logs last, when nothing can fail
    /// any more, so there is no entry to take back.
    pub fn roll_back(&mut self) {
        while let Some((place, before)) = self.undo.pop() {
            match before {
                Some(value) => {
                    if let Some((_, slot)) = self.overlay.get_index_mut(place) {
                        *slot = value;
                    }
                }
                // Slots are taken away newest first: this one is the last.
                None => _ = self.overlay.pop(),
            }
        }
    }

    /// What the group has written: its log entries and its mutations. And what it was kept in,
    /// empty.
    pub fn finish(mut self) -> (Vec<LogEntry>, Vec<Mutation>, Overlay) {
        let mut mutations: Vec<_> = self
            .overlay
            .drain(..)
            .map(|((family, key), value)| Mutation { family, key, value })
            .collect();
        // A memtable takes a key that follows the one before without searching for its place.
        // Stable, because that sort makes use of what is in order already, as bulk loads are.
        mutations.sort_by(|a, b| (a.family as u8, &a.key).cmp(&(b.family as u8, &b.key)));
        (self.entries, mutations, Overlay(self.overlay))
    }

    /// A prefix as the current command sees it.
    pub fn prefix(&self, key: &[u8]) -> Result<Option<Arc<PrefixRecord>>> {
        match self.written(Family::Prefixes, key) {
            Some(written) => decoded(written),
            None => Ok(self.prefixes.get(key).map(|entry| entry.record.clone())),
        }
    }

    /// The keys of an enterprise's prefixes.
    pub fn prefixes_of(&self, id: EnterpriseId) -> Result<Vec<Bytes>> {
        let family = Family::PrefixesByEnterprise;
        let start = index_key(id.0, &[]);
        let view = self.store.snapshot();
        let mut keys = Vec::new();
        for row in view.scan_prefix(family, &start)? {
            let (key, _) = row?;
            if self.written(family, &key) != Some(None) {
                keys.push(key.slice(start.len()..));
            }
        }
        for ((written, key), value) in &self.overlay {
            let added = *written == family && key.starts_with(&start) && value.is_some();
            if added && view.get(family, key)?.is_none() {
                keys.push(key.slice(start.len()..));
            }
        }
        Ok(keys)
    }

    /// The prefix that owns an identifier, if it is registered.
    pub fn owner_of(&self, identifier: &Identifier) -> Result<Option<Arc<PrefixRecord>>> {
        for candidate in identifier.prefix_candidates() {
            if candidate.relation != Relation::Owner {
                continue;
            }
            if let Some(record) = self.prefix(candidate.key)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Changes the counters of a prefix, and of the node as a whole.
    pub fn count(&mut self, prefix: &Bytes, change: impl Fn(&mut Counters)) -> Result<()> {
        self.count_row(prefix.clone(), &change)?;
        self.count_node(change)?;
        Ok(())
    }

    /// Changes the counters of the node alone.
    pub fn count_node(&mut self, change: impl FnOnce(&mut Counters)) -> Result<Counters> {
        self.count_row(Bytes::new(), change)
    }

    /// Changes the counters of a prefix alone, as when something moves between prefixes.
    pub fn count_row(
        &mut self,
        prefix: Bytes,
        change: impl FnOnce(&mut Counters),
    ) -> Result<Counters> {
        let mut counters: Counters = self
            .get_message(Family::Statistics, &prefix)?
            .unwrap_or_default();
        change(&mut counters);
        counters.last_change_ms = self.now_ms;
        self.put_message(Family::Statistics, prefix, &counters);
        Ok(counters)
    }

    /// What is in a prefix's range that no longer registered prefix owns, up to the first live
    /// identifier. Sees what is committed and what this group has written.
    pub fn census(&self, prefix: &Prefix) -> Result<Census> {
        let (mut start, end) = prefix.key_range();
        let mut census = Census::default();
        let view = self.store.snapshot();
        'ranges: loop {
            for row in view.scan(Family::Identifiers, &start, Some(&end))? {
                let (key, stored) = row?;
                let written = self.written(Family::Identifiers, &key);
                let stored = written.map_or(Some(&stored), |written| written);
                if let Some(longer) = self.take_into(&mut census, prefix, &key, stored)? {
                    // All of the longer one's at once: they may be many.
                    start = longer.key_range().1;
                    continue 'ranges;
                }
                if census.live {
                    return Ok(census);
                }
            }
            break;
        }
        let (start, end) = prefix.key_range();
        for ((family, key), value) in &self.overlay {
            let inside = *family == Family::Identifiers && **key >= *start && **key < *end;
            if inside && view.get(Family::Identifiers, key)?.is_none() {
                self.take_into(&mut census, prefix, key, value.as_ref())?;
            }
        }
        Ok(census)
    }

    /// Adds one identifier to a census; the longer prefix instead that owns it, if one does.
    fn take_into(
        &self,
        census: &mut Census,
        prefix: &Prefix,
        key: &[u8],
        record: Option<&Bytes>,
    ) -> Result<Option<Prefix>> {
        let Some(record) = record else {
            return Ok(None);
        };
        let damaged = |error: IdentifierError| Error::Storage(error.to_string());
        let identifier = Identifier::from_key(key).map_err(damaged)?;
        let owners = identifier
            .prefix_candidates()
            .filter(|candidate| candidate.relation == Relation::Owner)
            .take_while(|candidate| candidate.key != prefix.key());
        for owner in owners {
            if self.prefix(owner.key)?.is_some() {
                return Prefix::from_key(owner.key).map(Some).map_err(damaged);
            }
        }
        if Record::decode(record.clone())?.is_live() {
            census.live = true;
        } else {
            census.deleted += 1;
            census.one = Some(identifier);
        }
        Ok(None)
    }
}

/// What the group has put at a key.
fn decoded<M: prost::Message + Default>(written: Option<&Bytes>) -> Result<Option<Arc<M>>> {
    written
        .map(|stored| decode_value(stored).map(Arc::new))
        .transpose()
}

/// See [`Txn::census`].
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// There is a live identifier; the count of tombstones ends there.
    pub live: bool,
    /// Tombstones.
    pub deleted: u64,
    /// Of these, any one.
    pub one: Option<Identifier>,
}

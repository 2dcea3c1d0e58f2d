//! The values of handles, wherever they are read.

use crate::Result;
use crate::layout::Family;
use crate::prefix::PrefixRecord;
use crate::prefix_table::PrefixTable;
use crate::record::Record;
use crate::store::Store;
use bytes::Bytes;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{ValueRef, Values};
use std::sync::Arc;

/// Encoded values of a handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct HandleValues {
    pub(super) encoded: Bytes,
    count: u32,
    /// Indexes that are left out.
    left_out: Vec<u32>,
}

impl HandleValues {
    /// Some that are encoded.
    pub fn encoded(encoded: Bytes, count: u32) -> Self {
        Self {
            encoded,
            count,
            left_out: Vec::new(),
        }
    }

    /// Those of a live identifier.
    pub fn of_record(record: &Record) -> Self {
        Self::encoded(record.values.clone(), record.value_count.into())
    }

    /// Those a prefix has beside its sites.
    pub fn of_prefix(record: &PrefixRecord) -> Self {
        Self::encoded(record.values.clone(), record.value_count)
    }

    /// Without the values of these indexes.
    #[must_use]
    pub fn without(self, left_out: Vec<u32>) -> Self {
        Self { left_out, ..self }
    }

    /// Whether the value of an index is left out.
    pub fn leaves_out(&self, index: u32) -> bool {
        self.left_out.contains(&index)
    }

    /// How many, at most.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// One by one, ascending by index.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'_>> {
        let all = Values::new(&self.encoded, self.count).map_while(std::result::Result::ok);
        all.filter(|value| !self.leaves_out(value.index()))
    }
}

/// Where the values of handles are read: the state of a transaction, or what is committed.
pub(crate) trait Handles {
    /// The record of a prefix, in whatever state.
    fn prefix_record(&self, key: &[u8]) -> Result<Option<Arc<PrefixRecord>>>;

    /// The record of the prefix that owns an identifier.
    fn owner_record(&self, identifier: &Identifier) -> Result<Option<Arc<PrefixRecord>>>;

    /// An identifier's record, a tombstone included.
    fn identifier_record(&self, identifier: &Identifier) -> Result<Option<Record>>;

    /// The values of what is answered for here: a live identifier under an active prefix that is
    /// not delegated, or an active prefix.
    fn values_of(&self, handle: &Identifier) -> Result<Option<HandleValues>> {
        if let Some(prefix) = handle.prefix_handle() {
            let record = self.prefix_record(prefix.key())?;
            let active = record.filter(|record| record.is_active());
            return Ok(active.as_deref().map(HandleValues::of_prefix));
        }
        let owner = self.owner_record(handle)?;
        if !owner.is_some_and(|owner| owner.is_active() && owner.delegation.is_none()) {
            return Ok(None);
        }
        let record = self.identifier_record(handle)?.filter(Record::is_live);
        Ok(record.as_ref().map(HandleValues::of_record))
    }
}

/// What is committed.
pub(crate) struct Committed<'a> {
    pub store: &'a Store,
    pub prefixes: &'a PrefixTable,
}

impl Handles for Committed<'_> {
    fn prefix_record(&self, key: &[u8]) -> Result<Option<Arc<PrefixRecord>>> {
        Ok(self.prefixes.get(key).map(|entry| entry.record.clone()))
    }

    fn owner_record(&self, identifier: &Identifier) -> Result<Option<Arc<PrefixRecord>>> {
        let entry = self.prefixes.owner_of(identifier);
        Ok(entry.map(|entry| entry.record.clone()))
    }

    fn identifier_record(&self, identifier: &Identifier) -> Result<Option<Record>> {
        let stored = self.store.get(Family::Identifiers, identifier.key())?;
        stored.map(Record::decode).transpose()
    }
}

//! Bulk load (批量注册): a chunk of identifiers as one change, a result for every item.

use super::draft::Draft;
use super::identifiers::{self, Delta};
use super::txn::Txn;
use super::{Outcome, idempotency};
use crate::change::{Change, IdentifierChange, IdentifierChanges};
use crate::layout::Family;
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::{Caller, Error, Result};
use bytes::Bytes;
use idnode_proto::value::ValueRef;
use std::collections::HashMap;
use std::sync::Arc;

/// What happens to identifiers that are live already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// They are rejected.
    Create,
    /// They get exactly the item's values.
    Upsert,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ImportStatus {
    /// Registered.
    Created = 1,
    /// It was live and has the item's values now.
    Updated = 2,
    /// It was live and had these values.
    Unchanged = 3,
    /// Refused; the error says why.
    Rejected = 4,
}

impl ImportStatus {
    pub(super) fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Created,
            2 => Self::Updated,
            3 => Self::Unchanged,
            _ => Self::Rejected,
        }
    }
}

/// Why an item was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// See [`Error::code`].
    pub code: i32,
    /// See [`Error::reason`].
    pub reason: String,
    /// See [`Error::field`].
    pub field: String,
    /// For people.
    pub message: String,
}

impl From<&Error> for ItemError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code(),
            reason: error.reason().to_owned(),
            field: error.field().to_owned(),
            message: error.to_string(),
        }
    }
}

/// What became of an item, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemResult {
    /// What.
    pub status: ImportStatus,
    /// Why, when rejected.
    pub error: Option<ItemError>,
}

pub(super) fn chunk(
    txn: &mut Txn<'_>,
    caller: &Caller,
    import_id: &str,
    number: u64,
    mode: ImportMode,
    items: &[std::result::Result<Draft, ItemError>],
) -> Result<Outcome> {
    caller.require_known()?;
    let mut chunk = Chunk {
        prefix: None,
        deltas: HashMap::new(),
        changes: Vec::with_capacity(items.len()),
    };
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(match item {
            Err(error) => rejected(error.clone()),
            Ok(draft) => match chunk.place(txn, caller, draft, mode) {
                Ok(status) => ItemResult {
                    status,
                    error: None,
                },
                // The store's failure is not the item's fault: the whole chunk fails.
                Err(error @ (Error::Storage(_) | Error::Unauthenticated(_))) => return Err(error),
                Err(error) => rejected(ItemError::from(&error)),
            },
        });
    }
    for (prefix, delta) in &chunk.deltas {
        txn.count(prefix, |counters| delta.apply(counters))?;
    }
    let progress = idempotency::Remembered {
        sequence: number,
        committed_at_ms: txn.now_ms(),
        ..idempotency::Remembered::default()
    };
    txn.put_message(
        Family::Idempotency,
        idempotency::progress_key(caller, import_id),
        &progress,
    );
    if !chunk.changes.is_empty() {
        let change = Change::Identifiers(IdentifierChanges {
            items: chunk.changes,
        });
        txn.log(caller.credential(), change);
    }
    Ok(Outcome::Import(results))
}

fn rejected(error: ItemError) -> ItemResult {
    ItemResult {
        status: ImportStatus::Rejected,
        error: Some(error),
    }
}

/// The state of one chunk under way.
struct Chunk {
    /// The last item's prefix: the next item mostly has the same head.
    prefix: Option<(Box<[u8]>, Arc<PrefixRecord>)>,
    deltas: HashMap<Bytes, Delta>,
    changes: Vec<IdentifierChange>,
}

impl Chunk {
    fn place(
        &mut self,
        txn: &mut Txn<'_>,
        caller: &Caller,
        draft: &Draft,
        mode: ImportMode,
    ) -> Result<ImportStatus> {
        let prefix = self.prefix_of(txn, caller, draft)?;
        let existing = identifiers::get(txn, &draft.identifier)?;
        let (record, status) = match existing.as_ref().filter(|record| record.is_live()) {
            None => (
                identifiers::created(txn, draft, prefix.owner())?,
                ImportStatus::Created,
            ),
            Some(_) if mode == ImportMode::Create => {
                return Err(identifiers::exists(&draft.identifier));
            }
            Some(live) if same(live, draft) => return Ok(ImportStatus::Unchanged),
            Some(live) => {
                require_kept(live, draft, caller)?;
                let record = Record {
                    created_at_ms: live.created_at_ms,
                    ..identifiers::created(txn, draft, prefix.owner())?
                };
                (record, ImportStatus::Updated)
            }
        };
        self.deltas
            .entry(prefix.key.clone())
            .or_default()
            .add(Delta::between(existing.as_ref(), &record));
        self.changes
            .push(identifiers::put(txn, &draft.identifier, &record));
        Ok(status)
    }

    fn prefix_of(
        &mut self,
        txn: &Txn<'_>,
        caller: &Caller,
        draft: &Draft,
    ) -> Result<Arc<PrefixRecord>> {
        let place = draft
            .identifier
            .key()
            .get(..=draft.identifier.head().len())
            .unwrap_or_default();
        if let Some((last, prefix)) = &self.prefix
            && **last == *place
        {
            return Ok(prefix.clone());
        }
        let prefix = identifiers::writable_prefix(txn, caller, &draft.identifier)?;
        self.prefix = Some((place.into(), prefix.clone()));
        Ok(prefix)
    }
}

/// Whether a record has a draft's content already; a time the node itself gave the draft is
/// no content.
fn same(live: &Record, draft: &Draft) -> bool {
    live.template == draft.template
        && live.value_count == draft.value_count
        && (live.values == draft.values
            || live.values().zip(draft.values()).all(|(old, new)| {
                let stamped = draft.stamped_s == Some(new.timestamp_s());
                same_value(&old, &new) && (stamped || old.timestamp_s() == new.timestamp_s())
            }))
}

fn same_value(old: &ValueRef<'_>, new: &ValueRef<'_>) -> bool {
    old.index() == new.index() && old.signed_part() == new.signed_part()
}

/// Err if an enterprise would change or remove a value without the admin-write permission.
fn require_kept(live: &Record, draft: &Draft, caller: &Caller) -> Result<()> {
    let lost = |old: &ValueRef<'_>| {
        !old.permissions().admin_write() && !draft.values().any(|new| same_value(old, &new))
    };
    match live.values().find(lost).filter(|_| !caller.is_operator()) {
        Some(value) => Err(identifiers::protected(value.index())),
        None => Ok(()),
    }
}

//! Bulk load (批量注册): a chunk of identifiers as one change, a result for every item.

use super::draft::Draft;
use super::identifiers::{self, Delta};
use super::quotas::Meter;
use super::txn::Txn;
use super::{Outcome, idempotency};
use crate::change::{Change, IdentifierChange, IdentifierChanges};
use crate::layout::Family;
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::{Caller, Error, Result};
use bytes::{Bytes, BytesMut};
use idnode_proto::value::ValueRef;
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
    let drafts = items.iter().flatten();
    let weight: usize = drafts.clone().map(Draft::weight).sum();
    let mut chunk = Chunk {
        placed: Vec::new(),
        changes: Vec::with_capacity(items.len()),
        meter: Meter::default(),
        space: BytesMut::with_capacity(weight),
    };
    txn.reserve(items.len());
    let keys: Vec<&[u8]> = drafts.map(|draft| draft.identifier.key()).collect();
    let mut stored = txn.stored(Family::Identifiers, &keys)?.into_iter();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(match item {
            Err(error) => rejected(error.clone()),
            Ok(draft) => match chunk.place(txn, caller, draft, stored.next().flatten(), mode) {
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
    for Placed { prefix, delta, .. } in &chunk.placed {
        txn.count(&prefix.key, |counters| delta.apply(counters))?;
    }
    chunk.meter.finish(txn);
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
    /// The prefixes met so far.
    placed: Vec<Placed>,
    changes: Vec<IdentifierChange>,
    meter: Meter,
    /// Where keys and records are written: one allocation for all of them.
    space: BytesMut,
}

/// A prefix that items of a chunk are under.
struct Placed {
    /// What the keys of these items begin with.
    head: Box<[u8]>,
    prefix: Arc<PrefixRecord>,
    delta: Delta,
}

impl Chunk {
    /// `stored`: what the store has under the draft's identifier.
    fn place(
        &mut self,
        txn: &mut Txn<'_>,
        caller: &Caller,
        draft: &Draft,
        stored: Option<Bytes>,
        mode: ImportMode,
    ) -> Result<ImportStatus> {
        let place = self.prefix_of(txn, caller, draft)?;
        let Some(Placed { prefix, delta, .. }) = self.placed.get_mut(place) else {
            return Err(Error::Storage("a prefix is lost".into()));
        };
        let key = draft.identifier.key();
        let existing = match txn.written(Family::Identifiers, key) {
            Some(written) => written.cloned(),
            None => stored,
        };
        let existing = existing.map(Record::decode).transpose()?;
        let (record, status) = match existing.as_ref().filter(|record| record.is_live()) {
            None => {
                self.meter.require(txn, caller, prefix.owner())?;
                let record = identifiers::created(txn, draft, prefix.owner())?;
                self.meter.identifier(txn, prefix.owner())?;
                (record, ImportStatus::Created)
            }
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
        delta.add(Delta::between(existing.as_ref(), &record));
        self.changes.push(identifiers::put(
            txn,
            &draft.identifier,
            prefix.owner(),
            existing.as_ref(),
            &record,
            &mut self.space,
        ));
        Ok(status)
    }

    /// The place of the draft's prefix among those met.
    fn prefix_of(&mut self, txn: &Txn<'_>, caller: &Caller, draft: &Draft) -> Result<usize> {
        let key = draft.identifier.key();
        let head = key
            .get(..=draft.identifier.head().len())
            .unwrap_or_default();
        // The next item mostly has the last one's.
        if let Some(met) = self.placed.iter().rposition(|placed| *placed.head == *head) {
            return Ok(met);
        }
        txn.require_here(draft.identifier.prefix_candidates())?;
        let prefix = identifiers::writable_prefix(txn, caller, &draft.identifier)?;
        self.placed.push(Placed {
            head: head.into(),
            prefix,
            delta: Delta::default(),
        });
        Ok(self.placed.len() - 1)
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

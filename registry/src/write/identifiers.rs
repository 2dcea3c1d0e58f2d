//! Commands on identifiers, one at a time.

use super::draft::{self, Draft, IdentifierUpdate};
use super::txn::Txn;
use super::{Outcome, enterprises, expect_version, templates};
use crate::change::{Change, IdentifierChange, IdentifierChanges};
use crate::enterprise::{EnterpriseId, bounded};
use crate::layout::{Family, index_key};
use crate::prefix::PrefixRecord;
use crate::read::Counters;
use crate::record::Record;
use crate::{Caller, Error, Object, Result};
use bytes::{BufMut, Bytes, BytesMut};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{MAX_VALUES, Value};
use std::sync::Arc;

pub(super) fn create(txn: &mut Txn<'_>, caller: &Caller, draft: &Draft) -> Result<Outcome> {
    let prefix = writable_prefix(txn, caller, &draft.identifier)?;
    let existing = get(txn, &draft.identifier)?;
    if existing.as_ref().is_some_and(Record::is_live) {
        return Err(exists(&draft.identifier));
    }
    let record = created(txn, draft, prefix.owner())?;
    let delta = Delta::between(existing.as_ref(), &record);
    txn.count(&prefix.key, |counters| delta.apply(counters))?;
    Ok(commit_one(
        txn,
        caller,
        &draft.identifier,
        prefix.owner(),
        existing.as_ref(),
        &record,
    ))
}

pub(super) fn update(
    txn: &mut Txn<'_>,
    caller: &Caller,
    update: &IdentifierUpdate,
) -> Result<Outcome> {
    let prefix = writable_prefix(txn, caller, &update.identifier)?;
    let existing = live(txn, &update.identifier)?;
    expect_version(
        Object::Identifier,
        &update.identifier,
        update.expected_version,
        existing.version,
    )?;
    let values = merged(&existing, update, caller)?;
    let template = match &update.template {
        Some(name) => Some(name.clone()).filter(|name| !name.is_empty()),
        None => existing.template.clone(),
    };
    let record = Record {
        version: txn.next_sequence(),
        updated_at_ms: txn.now_ms(),
        template,
        value_count: values.len() as u16,
        values: draft::encode(&values)?,
        ..existing.clone()
    };
    check_template(txn, &record, prefix.owner())?;
    let delta = Delta::between(Some(&existing), &record);
    txn.count(&prefix.key, |counters| delta.apply(counters))?;
    Ok(commit_one(
        txn,
        caller,
        &update.identifier,
        prefix.owner(),
        Some(&existing),
        &record,
    ))
}

pub(super) fn delete(
    txn: &mut Txn<'_>,
    caller: &Caller,
    identifier: &Identifier,
    reason: &str,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    bounded("reason", reason, 0, 256)?;
    let prefix = writable_prefix(txn, caller, identifier)?;
    let existing = live(txn, identifier)?;
    expect_version(
        Object::Identifier,
        identifier,
        expected_version,
        existing.version,
    )?;
    let record = Record {
        version: txn.next_sequence(),
        updated_at_ms: txn.now_ms(),
        deleted: Some(reason.to_owned()),
        template: None,
        value_count: 0,
        values: Bytes::new(),
        ..existing.clone()
    };
    let delta = Delta::between(Some(&existing), &record);
    txn.count(&prefix.key, |counters| delta.apply(counters))?;
    Ok(commit_one(
        txn,
        caller,
        identifier,
        prefix.owner(),
        Some(&existing),
        &record,
    ))
}

/// The prefix an identifier may be written under: registered, the caller's, active, served
/// here, its enterprise verified.
pub(super) fn writable_prefix(
    txn: &Txn<'_>,
    caller: &Caller,
    identifier: &Identifier,
) -> Result<Arc<PrefixRecord>> {
    caller.require_known()?;
    let record = txn
        .owner_of(identifier)?
        .ok_or_else(|| Error::not_found(Object::Prefix, format!("of {identifier}")))?;
    let prefix = record.prefix()?;
    caller.require_owner(record.owner(), &format!("prefix {prefix}"))?;
    if !record.is_active() {
        return Err(Error::PrefixNotActive {
            name: prefix.to_string(),
            state: record.state(),
        });
    }
    if record.delegation.is_some() {
        return Err(Error::PrefixDelegated(prefix.to_string()));
    }
    if !caller.is_operator() {
        enterprises::require_verified(txn, record.owner())?;
    }
    Ok(record)
}

/// The identifier's record as the transaction sees it, a tombstone included.
pub(super) fn get(txn: &Txn<'_>, identifier: &Identifier) -> Result<Option<Record>> {
    txn.get(Family::Identifiers, identifier.key())?
        .map(Record::decode)
        .transpose()
}

fn live(txn: &Txn<'_>, identifier: &Identifier) -> Result<Record> {
    get(txn, identifier)?
        .filter(Record::is_live)
        .ok_or_else(|| Error::not_found(Object::Identifier, identifier))
}

/// The error of creating what is there.
pub(super) fn exists(identifier: &Identifier) -> Error {
    Error::Exists {
        object: Object::Identifier,
        name: identifier.to_string(),
    }
}

/// The error of touching a value without the admin-write permission.
pub(super) fn protected(index: u32) -> Error {
    Error::Denied(format!(
        "the value at index {index} may not be changed (its permissions)"
    ))
}

/// The record a draft becomes when it is created, checked against its template. From then on,
/// deleted or not, it is found by its hashed DNS name, if that is what it has.
pub(super) fn created(txn: &mut Txn<'_>, draft: &Draft, owner: EnterpriseId) -> Result<Record> {
    let record = Record {
        version: txn.next_sequence(),
        created_at_ms: txn.now_ms(),
        updated_at_ms: txn.now_ms(),
        deleted: None,
        display: draft.identifier.spelling().map(str::to_owned),
        template: draft.template.clone(),
        value_count: draft.value_count,
        values: draft.values.clone(),
    };
    check_template(txn, &record, owner)?;
    if let Some(hash) = draft.name_hash {
        let key = Bytes::copy_from_slice(draft.identifier.key());
        txn.set(
            Family::HashedNames,
            Bytes::copy_from_slice(&hash),
            Some(key),
        );
    }
    Ok(record)
}

pub(super) fn check_template(txn: &Txn<'_>, record: &Record, owner: EnterpriseId) -> Result<()> {
    match &record.template {
        Some(name) => templates::usable(txn, name, owner)?.check(record.values()),
        None => Ok(()),
    }
}

/// The values after an update, ascending by index. An enterprise may not touch a value
/// without the admin-write permission.
fn merged(existing: &Record, update: &IdentifierUpdate, caller: &Caller) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(usize::from(existing.value_count) + update.set.len());
    for index in &update.remove {
        if !existing.values().any(|value| value.index() == *index) {
            return Err(Error::invalid(
                "remove_indexes",
                format!("there is no value at index {index}"),
            ));
        }
    }
    for value in existing.values() {
        let replaced = update.set.iter().any(|new| new.index == value.index());
        let removed = update.replace_all && !replaced || update.remove.contains(&value.index());
        if !replaced && !removed {
            values.push(value.to_owned());
        } else if !value.permissions().admin_write() && !caller.is_operator() {
            return Err(protected(value.index()));
        }
    }
    values.extend(update.set.iter().cloned());
    values.sort_by_key(|value| value.index);
    if values.is_empty() {
        return Err(Error::invalid(
            "remove_indexes",
            "an identifier needs at least one value; delete it instead",
        ));
    }
    if values.len() > MAX_VALUES {
        return Err(Error::invalid(
            "set_values",
            format!(
                "makes {} values, at most {MAX_VALUES} are taken",
                values.len()
            ),
        ));
    }
    Ok(values)
}

/// Puts a record, its `owner`'s, in place of `replaced`, which the log may still tell of. Key
/// and record are written into `space`, which many may share.
pub(super) fn put(
    txn: &mut Txn<'_>,
    identifier: &Identifier,
    owner: EnterpriseId,
    replaced: Option<&Record>,
    record: &Record,
    space: &mut BytesMut,
) -> IdentifierChange {
    if let Some(replaced) = replaced {
        let key = index_key(replaced.version, identifier.key());
        txn.set(Family::Superseded, key, Some(replaced.encode()));
    }
    space.reserve(identifier.key().len() + record.encoded_len());
    space.put_slice(identifier.key());
    let key = space.split().freeze();
    record.encode_to(space);
    let change = IdentifierChange {
        key,
        record: space.split().freeze(),
        replaced: Some(replaced.map_or(0, |replaced| replaced.version)),
        enterprise: owner.0,
    };
    txn.set(
        Family::Identifiers,
        change.key.clone(),
        Some(change.record.clone()),
    );
    change
}

fn commit_one(
    txn: &mut Txn<'_>,
    caller: &Caller,
    identifier: &Identifier,
    owner: EnterpriseId,
    replaced: Option<&Record>,
    record: &Record,
) -> Outcome {
    let change = put(
        txn,
        identifier,
        owner,
        replaced,
        record,
        &mut BytesMut::new(),
    );
    txn.log(
        caller.credential(),
        Change::Identifiers(IdentifierChanges {
            items: vec![change],
        }),
    );
    Outcome::Done
}

/// How a write changes its prefix's counters.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Delta {
    identifiers: i64,
    deleted: i64,
    value_bytes: i64,
    creations: u64,
    updates: u64,
    deletions: u64,
}

impl Delta {
    /// The difference one write makes.
    pub fn between(before: Option<&Record>, after: &Record) -> Self {
        let was_live = before.is_some_and(Record::is_live);
        let was_deleted = before.is_some_and(|record| !record.is_live());
        let is_live = after.is_live();
        let bytes = |record: &Record| record.values.len() as i64;
        Self {
            identifiers: i64::from(is_live) - i64::from(was_live),
            deleted: i64::from(!is_live) - i64::from(was_deleted),
            value_bytes: bytes(after) - before.map_or(0, bytes),
            creations: u64::from(is_live && !was_live),
            updates: u64::from(is_live && was_live),
            deletions: u64::from(!is_live),
        }
    }

    /// Adds another write's difference.
    pub fn add(&mut self, other: Self) {
        self.identifiers += other.identifiers;
        self.deleted += other.deleted;
        self.value_bytes += other.value_bytes;
        self.creations += other.creations;
        self.updates += other.updates;
        self.deletions += other.deletions;
    }

    /// Brings counters up to date.
    pub fn apply(&self, counters: &mut Counters) {
        counters.identifiers = counters.identifiers.saturating_add_signed(self.identifiers);
        counters.deleted = counters.deleted.saturating_add_signed(self.deleted);
        counters.value_bytes = counters.value_bytes.saturating_add_signed(self.value_bytes);
        counters.creations += self.creations;
        counters.updates += self.updates;
        counters.deletions += self.deletions;
    }
}

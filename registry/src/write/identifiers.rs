//! Commands on identifiers, one at a time.

use super::authority::Authority;
use super::draft::{self, Draft, IdentifierUpdate};
use super::endorse::Endorsement;
use super::quotas::Meter;
use super::txn::Txn;
use super::{Outcome, enterprises, expect_version, templates};
use crate::administrator::HandleValues;
use crate::change::{Change, IdentifierChange, IdentifierChanges};
use crate::enterprise::{EnterpriseId, bounded};
use crate::layout::{Family, index_key};
use crate::prefix::PrefixRecord;
use crate::read::Counters;
use crate::record::Record;
use crate::{Caller, Error, Object, Result};
use bytes::{BufMut, Bytes, BytesMut};
use idnode_proto::handle::AdminRights;
use idnode_proto::identifier::Identifier;
use std::sync::Arc;

pub(super) fn create(txn: &mut Txn<'_>, caller: &Caller, draft: &Draft) -> Result<Outcome> {
    let prefix = owner_of(txn, caller, &draft.identifier)?;
    // A handle that is not there yet has no administrators: its prefix has them.
    let values = || HandleValues::of_prefix(&prefix);
    let authority = authority_over(txn, caller, &prefix, values)?;
    authority.require(AdminRights::ADD_HANDLE)?;
    require_open(txn, caller, &prefix)?;
    let existing = get(txn, &draft.identifier)?;
    if existing.as_ref().is_some_and(Record::is_live) {
        return Err(exists(&draft.identifier));
    }
    let mut meter = Meter::default();
    meter.require(txn, caller, prefix.owner())?;
    meter.identifier(txn, prefix.owner())?;
    let record = created(txn, draft, prefix.owner())?;
    let delta = Delta::between(existing.as_ref(), &record);
    txn.count(&prefix.key, |counters| delta.apply(counters))?;
    meter.finish(txn);
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
    let prefix = owner_of(txn, caller, &update.identifier)?;
    let (existing, authority) = writable(txn, caller, &prefix, &update.identifier)?;
    expect_version(
        Object::Identifier,
        &update.identifier,
        update.expected_version,
        existing.version,
    )?;
    // The node's signatures are in nobody's way: they are made anew.
    let own = update.endorsement.as_ref().map(Endorsement::own);
    let values = HandleValues::of_record(&existing).without(own.unwrap_or_default());
    let values = (update.change).applied(&values, &authority, &update.identifier)?;
    if values.is_empty() {
        return Err(Error::invalid(
            "remove_indexes",
            "an identifier needs at least one value; delete it instead",
        ));
    }
    let values = match &update.endorsement {
        Some(endorsement) => {
            let signed = Some(endorsement.version);
            expect_version(
                Object::Identifier,
                &update.identifier,
                signed,
                existing.version,
            )?;
            let unsigned = || Error::Storage("an update that applies was not signed".into());
            endorsement.placed(values).ok_or_else(unsigned)?
        }
        None => values,
    };
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
    let prefix = owner_of(txn, caller, identifier)?;
    let (existing, authority) = writable(txn, caller, &prefix, identifier)?;
    authority.require(AdminRights::DELETE_HANDLE)?;
    expect_version(
        Object::Identifier,
        identifier,
        expected_version,
        existing.version,
    )?;
    let mut meter = Meter::default();
    meter.no_identifier(txn, prefix.owner())?;
    meter.finish(txn);
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

/// The prefix an identifier may be written under: registered, the caller's own, active, served
/// here, its enterprise verified.
pub(super) fn writable_prefix(
    txn: &Txn<'_>,
    caller: &Caller,
    identifier: &Identifier,
) -> Result<Arc<PrefixRecord>> {
    let record = owner_of(txn, caller, identifier)?;
    caller.require_owner(record.owner(), || named(&record))?;
    require_open(txn, caller, &record)?;
    Ok(record)
}

/// The prefix that owns an identifier.
fn owner_of(txn: &Txn<'_>, caller: &Caller, identifier: &Identifier) -> Result<Arc<PrefixRecord>> {
    caller.require_known()?;
    txn.owner_of(identifier)?
        .ok_or_else(|| Error::not_found(Object::Prefix, format!("of {identifier}")))
}

/// The caller's authority over a prefix, or by other values over what is under it.
pub(super) fn authority_over(
    txn: &Txn<'_>,
    caller: &Caller,
    prefix: &PrefixRecord,
    values: impl FnOnce() -> HandleValues,
) -> Result<Authority> {
    Authority::over(txn, caller, prefix.owner(), || named(prefix), values)
}

/// What errors call a prefix.
fn named(prefix: &PrefixRecord) -> String {
    let name = prefix.prefix();
    name.map_or_else(|_| "a prefix".into(), |name| format!("prefix {name}"))
}

/// Err unless identifiers are registered under a prefix here: it is active and not delegated, and
/// its enterprise is verified.
fn require_open(txn: &Txn<'_>, caller: &Caller, record: &PrefixRecord) -> Result<()> {
    require_active(record)?;
    if record.delegation.is_some() {
        return Err(Error::PrefixDelegated(record.prefix()?.to_string()));
    }
    require_verified(txn, caller, record)
}

/// Err unless a prefix is active.
pub(super) fn require_active(record: &PrefixRecord) -> Result<()> {
    if record.is_active() {
        return Ok(());
    }
    Err(Error::PrefixNotActive {
        name: record.prefix()?.to_string(),
        state: record.state(),
    })
}

/// Err unless a prefix's enterprise is verified; the operator writes all the same.
pub(super) fn require_verified(
    txn: &Txn<'_>,
    caller: &Caller,
    record: &PrefixRecord,
) -> Result<()> {
    if caller.is_operator() {
        return Ok(());
    }
    enterprises::require_verified(txn, record.owner())
}

/// A live identifier's record and the caller's authority over it.
fn writable(
    txn: &Txn<'_>,
    caller: &Caller,
    prefix: &PrefixRecord,
    identifier: &Identifier,
) -> Result<(Record, Authority)> {
    let name = || format!("identifier {identifier}");
    if !matches!(caller, Caller::Administrator(_)) {
        let authority = authority_over(txn, caller, prefix, HandleValues::default)?;
        require_open(txn, caller, prefix)?;
        return Ok((live(txn, identifier)?, authority));
    }
    require_open(txn, caller, prefix)?;
    let record = live(txn, identifier)?;
    let values = || HandleValues::of_record(&record);
    let authority = Authority::over(txn, caller, prefix.owner(), name, values)?;
    Ok((record, authority))
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
    if let Some(version) = draft.withheld_at {
        return Err(changed_meanwhile(txn, &draft.identifier, version)?);
    }
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

/// That what allows a registration was not there when it was to be signed.
fn changed_meanwhile(txn: &Txn<'_>, identifier: &Identifier, seen: u64) -> Result<Error> {
    let prefix = txn.owner_of(identifier)?;
    let name = prefix.as_ref().map(|prefix| prefix.prefix()).transpose()?;
    Ok(Error::VersionMismatch {
        object: Object::Prefix,
        name: name.map_or_else(|| identifier.canonical(), |name| name.to_string()),
        expected: seen,
        current: prefix.map_or(0, |prefix| prefix.version),
    })
}

pub(super) fn check_template(txn: &Txn<'_>, record: &Record, owner: EnterpriseId) -> Result<()> {
    match &record.template {
        Some(name) => templates::usable(txn, name, owner)?.check(record.values()),
        None => Ok(()),
    }
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

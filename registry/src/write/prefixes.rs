//! Commands on prefixes.

use super::draft::{self, PrefixDraft, PrefixUpdate};
use super::quotas::Meter;
use super::txn::{Census, Txn};
use super::{Outcome, enterprises, expect_version, identifiers};
use crate::administrator::HandleValues;
use crate::change::{Change, PrefixChange};
use crate::enterprise::{EnterpriseId, bounded};
use crate::layout::{Family, former_key, index_key};
use crate::prefix::{Delegation, PrefixAction, PrefixRecord, PrefixState, Step, Withdrawal};
use crate::read::Counters;
use crate::{Caller, Error, Object, Result};
use bytes::Bytes;
use idnode_proto::dnsname;
use idnode_proto::handle::AdminRights;
use idnode_proto::identifier::{Prefix, Relation, Scheme};
use idnode_proto::value::Value;
use std::sync::Arc;

pub(super) fn apply(
    txn: &mut Txn<'_>,
    caller: &Caller,
    prefix: &Prefix,
    enterprise: EnterpriseId,
) -> Result<Outcome> {
    caller.require_owner(enterprise, || format!("enterprise {enterprise}"))?;
    register(txn, caller, prefix, enterprise, Vec::new())
}

/// Applies for a prefix by its handle.
pub(super) fn create(txn: &mut Txn<'_>, caller: &Caller, draft: &PrefixDraft) -> Result<Outcome> {
    let prefix = &draft.prefix;
    let enterprise = applicant(txn, caller, prefix)?;
    let values = match &draft.change {
        Some(change) => change.outcome(&HandleValues::default(), prefix)?,
        None => Vec::new(),
    };
    register(txn, caller, prefix, enterprise, values)
}

/// For which enterprise a prefix is applied for by its handle, which names none.
fn applicant(txn: &Txn<'_>, caller: &Caller, prefix: &Prefix) -> Result<EnterpriseId> {
    caller.require_known()?;
    if let Some(id) = caller.enterprise() {
        return Ok(id);
    }
    let Some(above) = above(txn, prefix, |_| true)? else {
        return Err(match caller {
            Caller::Administrator(administrator) => Error::NotAdministrator {
                administrator: administrator.name().to_owned(),
                name: format!("prefix {prefix}"),
            },
            _ if txn.prefix(prefix.key())?.is_some() => exists(prefix),
            _ => Error::Denied(format!(
                "prefix {prefix} is below none that is registered here, so that it is not known \
                 for whom it is: idctl prefix apply says so"
            )),
        });
    };
    let values = || HandleValues::of_prefix(&above);
    let authority = identifiers::authority_over(txn, caller, &above, values)?;
    authority.require(AdminRights::ADD_PREFIX)?;
    if authority.is_administrator() {
        identifiers::require_active(&above)?;
    }
    Ok(above.owner())
}

/// The longest registered prefix above a prefix, of those that it `is` so related to.
fn above(
    txn: &Txn<'_>,
    prefix: &Prefix,
    is: impl Fn(Relation) -> bool,
) -> Result<Option<PrefixRecord>> {
    let shorter = prefix.candidates().skip(1);
    for candidate in shorter.filter(|shorter| is(shorter.relation)) {
        if let Some(record) = txn.prefix(candidate.key)? {
            return Ok(Some(Arc::unwrap_or_clone(record)));
        }
    }
    Ok(None)
}

/// The error of applying for what is there.
fn exists(prefix: &Prefix) -> Error {
    Error::Exists {
        object: Object::Prefix,
        name: prefix.to_string(),
    }
}

fn register(
    txn: &mut Txn<'_>,
    caller: &Caller,
    prefix: &Prefix,
    enterprise: EnterpriseId,
    values: Vec<Value>,
) -> Result<Outcome> {
    enterprises::get(txn, enterprise)?;
    let key = Bytes::copy_from_slice(prefix.key());
    if txn.prefix(&key)?.is_some() {
        return Err(exists(prefix));
    }
    require_outside_others(txn, caller, enterprise, prefix)?;
    let mut meter = Meter::default();
    meter.prefix(txn, caller, enterprise)?;
    meter.finish(txn);
    // A prefix inside another one's identifiers would change whose they are.
    let inside = txn.census(prefix)?;
    if inside.live {
        return Err(Error::state(
            Object::Prefix,
            prefix,
            "has identifiers registered under a shorter prefix",
        ));
    }
    if let Some(shorter) = shorter_owner(txn, &inside)? {
        txn.count_row(shorter, |c| {
            c.deleted = c.deleted.saturating_sub(inside.deleted);
        })?;
    }
    txn.count_row(key.clone(), |c| c.deleted = inside.deleted)?;
    let record = PrefixRecord {
        key: key.clone(),
        enterprise: enterprise.0,
        state: PrefixState::PendingReview as i32,
        created_at_ms: txn.now_ms(),
        values: draft::encode(&values)?,
        value_count: values.len() as u32,
        ..PrefixRecord::default()
    };
    require_one_message(&record, "set_values")?;
    txn.set(
        Family::PrefixesByEnterprise,
        index_key(enterprise.0, &key),
        Some(Bytes::new()),
    );
    index_name(txn, prefix, true);
    txn.count_node(|counters| counters.prefixes += 1)?;
    Ok(store(txn, caller, None, record))
}

/// Err if a prefix is part of one that another enterprise holds, in whatever state: from its
/// application on it would own that part, so that only the operator takes it away.
fn require_outside_others(
    txn: &Txn<'_>,
    caller: &Caller,
    enterprise: EnterpriseId,
    prefix: &Prefix,
) -> Result<()> {
    match above(txn, prefix, |relation| relation == Relation::Owner)? {
        Some(shorter) if shorter.owner() != enterprise && !caller.is_operator() => {
            let reason = format!(
                "prefix {prefix} is part of {}, which belongs to another: only the operator \
                 registers it",
                shorter.prefix()?
            );
            Err(Error::Denied(reason))
        }
        _ => Ok(()),
    }
}

pub(super) fn transition(
    txn: &mut Txn<'_>,
    caller: &Caller,
    prefix: &Prefix,
    action: PrefixAction,
    message: &str,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    let mut record = owned(txn, caller, prefix)?;
    if !matches!(
        action,
        PrefixAction::Reapply | PrefixAction::MarkForDeletion
    ) {
        caller.require_operator("reviewing a prefix")?;
    }
    bounded(
        "message",
        message,
        usize::from(action == PrefixAction::Reject),
        512,
    )?;
    expect_version(Object::Prefix, prefix, expected_version, record.version)?;
    let state = record.state();
    let step = state.after(action).ok_or_else(|| {
        Error::state(
            Object::Prefix,
            prefix,
            format!("is {}: {action:?} is not possible", state.label()),
        )
    })?;
    let is_submission = action == PrefixAction::Submit;
    if is_submission && record.submitted > 0 {
        let reason = "is approved here and under review at the national node";
        return Err(Error::state(Object::Prefix, prefix, reason));
    }
    let withdrawal = record.withdrawal();
    if action == PrefixAction::ResumeGranted && withdrawal != Withdrawal::None {
        let reason = "is withdrawn by the national node, which alone grants it again";
        return Err(Error::state(Object::Prefix, prefix, reason));
    }
    let step = match action {
        // Suspended for another reason, too.
        PrefixAction::Regrant if withdrawal != Withdrawal::Suspended => Step::To(state),
        _ => step,
    };
    let replaced = record.clone();
    record.set_withdrawal(withdrawn(withdrawal, state, action));
    record.review_message = message.to_owned();
    match step {
        Step::To(next) => {
            if next == PrefixState::Active || is_submission {
                enterprises::require_verified(txn, record.owner())?;
            }
            record.set_state(next);
            record.submitted = if is_submission {
                txn.next_sequence()
            } else {
                0
            };
            Ok(store(txn, caller, Some(replaced), record))
        }
        Step::Gone => remove(txn, caller, prefix, record),
    }
}

/// Whether the national node has withdrawn a prefix, behind an action.
fn withdrawn(before: Withdrawal, state: PrefixState, action: PrefixAction) -> Withdrawal {
    use PrefixAction as A;
    match (action, before) {
        (A::Withdraw, _) if state == PrefixState::Active => Withdrawal::Suspended,
        (A::Withdraw, Withdrawal::None) => Withdrawal::Noted,
        // It is not to be active when it is granted again.
        (A::MarkForDeletion, Withdrawal::Suspended) => Withdrawal::Noted,
        (A::Regrant | A::Resume, _) => Withdrawal::None,
        _ => before,
    }
}

pub(super) fn delegate(
    txn: &mut Txn<'_>,
    caller: &Caller,
    prefix: &Prefix,
    delegation: Option<&Delegation>,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    let mut record = owned(txn, caller, prefix)?;
    expect_version(Object::Prefix, prefix, expected_version, record.version)?;
    let replaced = record.clone();
    let delegation = delegation.cloned().map(|it| it.validated(prefix));
    record.delegation = delegation.transpose()?;
    require_one_message(&record, "delegation.sites")?;
    Ok(store(txn, caller, Some(replaced), record))
}

/// Changes what `0.NA/<prefix>` has beside its sites. The owner's, or an administrator's by the
/// HS_ADMIN values among them.
pub(super) fn update_values(
    txn: &mut Txn<'_>,
    caller: &Caller,
    update: &PrefixUpdate,
) -> Result<Outcome> {
    caller.require_known()?;
    let prefix = &update.prefix;
    let mut record = registered(txn, prefix)?;
    let values = || HandleValues::of_prefix(&record);
    let authority = identifiers::authority_over(txn, caller, &record, values)?;
    identifiers::require_active(&record)?;
    identifiers::require_verified(txn, caller, &record)?;
    let expected = update.expected_version;
    expect_version(Object::Prefix, prefix, expected, record.version)?;
    let values = &HandleValues::of_prefix(&record);
    let values = update.change.applied(values, &authority, prefix)?;
    let replaced = record.clone();
    record.values = draft::encode(&values)?;
    record.value_count = values.len() as u32;
    require_one_message(&record, "set_values")?;
    Ok(store(txn, caller, Some(replaced), record))
}

/// Err if where a prefix is served and its values together do not fit one answer.
fn require_one_message(record: &PrefixRecord, field: &str) -> Result<()> {
    let (length, most) = (record.described_len(), draft::MAX_RECORD_BYTES);
    if length <= most {
        return Ok(());
    }
    let reason = format!(
        "with where it is served, the prefix has {length} bytes of values, at most {most} are taken"
    );
    Err(Error::invalid(field, reason))
}

pub(super) fn current(txn: &Txn<'_>, caller: &Caller, prefix: &Prefix) -> Result<Outcome> {
    let record = txn.prefix(prefix.key())?;
    Ok(match record.filter(|record| caller.owns(record.owner())) {
        Some(record) => Outcome::Prefix(Box::new(Arc::unwrap_or_clone(record))),
        // Removed since, and perhaps another's: the receipt still holds.
        None => Outcome::Done,
    })
}

fn owned(txn: &Txn<'_>, caller: &Caller, prefix: &Prefix) -> Result<PrefixRecord> {
    caller.require_known()?;
    let record = registered(txn, prefix)?;
    caller.require_owner(record.owner(), || format!("prefix {prefix}"))?;
    Ok(record)
}

fn registered(txn: &Txn<'_>, prefix: &Prefix) -> Result<PrefixRecord> {
    txn.prefix(prefix.key())?
        .map(Arc::unwrap_or_clone)
        .ok_or_else(|| Error::not_found(Object::Prefix, prefix))
}

fn remove(
    txn: &mut Txn<'_>,
    caller: &Caller,
    prefix: &Prefix,
    mut record: PrefixRecord,
) -> Result<Outcome> {
    let inside = txn.census(prefix)?;
    if inside.live {
        return Err(Error::state(
            Object::Prefix,
            prefix,
            "still has live identifiers",
        ));
    }
    let mut meter = Meter::default();
    meter.no_prefix(txn, record.owner())?;
    meter.finish(txn);
    let replaced = record.clone();
    record.version = txn.next_sequence();
    record.updated_at_ms = txn.now_ms();
    txn.set(Family::Prefixes, record.key.clone(), None);
    if let Some(shorter) = shorter_owner(txn, &inside)? {
        txn.count_row(shorter, |c| c.deleted += inside.deleted)?;
    }
    // Counted since it is registered: whoever holds it next begins anew. Reports go on.
    let counted: Option<Counters> = txn.get_message(Family::Statistics, &record.key)?;
    if let Some(ended) = counted.filter(|it| it.creations > 0) {
        txn.count_row(former_key(&record.key), |former| {
            former.creations += ended.creations;
            former.deletions += ended.deletions;
        })?;
    }
    txn.set(Family::Statistics, record.key.clone(), None);
    txn.set(
        Family::PrefixesByEnterprise,
        index_key(record.enterprise, &record.key),
        None,
    );
    index_name(txn, prefix, false);
    txn.count_node(|counters| counters.prefixes = counters.prefixes.saturating_sub(1))?;
    let change = PrefixChange {
        record: record.clone(),
        removed: true,
        replaced: Some(replaced),
    };
    txn.log(caller.credential(), Change::Prefix(change));
    Ok(Outcome::Prefix(Box::new(record)))
}

/// Whose the tombstones of a prefix are while it is not registered.
fn shorter_owner(txn: &Txn<'_>, inside: &Census) -> Result<Option<Bytes>> {
    let Some(identifier) = &inside.one else {
        return Ok(None);
    };
    Ok(txn.owner_of(identifier)?.map(|owner| owner.key.clone()))
}

/// Makes a prefix whose DNS label is a hash found by it, or no longer. An OID's name is always
/// that of the identifier.
fn index_name(txn: &mut Txn<'_>, prefix: &Prefix, present: bool) {
    let Some(hash) = dnsname::prefix_name_hash(prefix) else {
        return;
    };
    let named = match prefix.prefix_identifier() {
        Some(oid) if oid.scheme() == Scheme::Oid => Bytes::copy_from_slice(oid.key()),
        _ => Bytes::copy_from_slice(prefix.key()),
    };
    txn.set(
        Family::HashedNames,
        Bytes::copy_from_slice(&hash),
        present.then_some(named),
    );
}

fn store(
    txn: &mut Txn<'_>,
    caller: &Caller,
    replaced: Option<PrefixRecord>,
    mut record: PrefixRecord,
) -> Outcome {
    record.version = txn.next_sequence();
    record.updated_at_ms = txn.now_ms();
    txn.put_message(Family::Prefixes, record.key.clone(), &record);
    let change = PrefixChange {
        record: record.clone(),
        removed: false,
        replaced,
    };
    txn.log(caller.credential(), Change::Prefix(change));
    Outcome::Prefix(Box::new(record))
}

//! Commands on enterprises.

use super::txn::Txn;
use super::{Outcome, expect_version};
use crate::change::Change;
use crate::enterprise::{
    Enterprise, EnterpriseId, EnterpriseState, Profile, ReviewAction, bounded,
};
use crate::layout::{Family, number_key};
use crate::{Caller, Error, Object, Result};
use std::sync::Arc;

pub(super) fn create(txn: &mut Txn<'_>, caller: &Caller, profile: &Profile) -> Result<Outcome> {
    caller.require_operator("registering an enterprise")?;
    profile.validate().map_err(|e| e.within("profile"))?;
    claim_certificate(txn, profile)?;
    let counters = txn.count_node(|counters| {
        counters.enterprises += 1;
        counters.last_enterprise += 1;
    })?;
    let enterprise = Enterprise {
        id: counters.last_enterprise,
        profile: profile.clone(),
        state: EnterpriseState::PendingReview as i32,
        created_at_ms: txn.now_ms(),
        ..Enterprise::default()
    };
    txn.set(
        Family::EnterprisesByCertificate,
        profile.certificate_key(),
        Some(number_key(enterprise.id)),
    );
    Ok(store(txn, caller, enterprise))
}

pub(super) fn update(
    txn: &mut Txn<'_>,
    caller: &Caller,
    id: EnterpriseId,
    profile: &Profile,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    caller.require_owner(id, || format!("enterprise {id}"))?;
    profile.validate().map_err(|e| e.within("profile"))?;
    let mut enterprise = Arc::unwrap_or_clone(get(txn, id)?);
    expect_version(Object::Enterprise, id, expected_version, enterprise.version)?;
    let (old_key, new_key) = (
        enterprise.profile.certificate_key(),
        profile.certificate_key(),
    );
    if old_key != new_key {
        claim_certificate(txn, profile)?;
        txn.set(Family::EnterprisesByCertificate, old_key, None);
        txn.set(
            Family::EnterprisesByCertificate,
            new_key,
            Some(number_key(id.0)),
        );
    }
    // The operator vouches for what the operator enters.
    if !caller.is_operator()
        && enterprise.state() != EnterpriseState::Suspended
        && enterprise.profile.needs_review_after(profile)
    {
        enterprise.set_state(EnterpriseState::PendingReview);
    }
    enterprise.profile = profile.clone();
    Ok(store(txn, caller, enterprise))
}

pub(super) fn review(
    txn: &mut Txn<'_>,
    caller: &Caller,
    id: EnterpriseId,
    action: ReviewAction,
    message: &str,
    expected_version: Option<u64>,
) -> Result<Outcome> {
    caller.require_operator("reviewing an enterprise")?;
    bounded(
        "message",
        message,
        usize::from(action == ReviewAction::Reject),
        512,
    )?;
    let mut enterprise = Arc::unwrap_or_clone(get(txn, id)?);
    expect_version(Object::Enterprise, id, expected_version, enterprise.version)?;
    let state = enterprise.state();
    let next = state.after(action).ok_or_else(|| {
        Error::state(
            Object::Enterprise,
            id,
            format!("is {state:?}: {action:?} is not possible"),
        )
    })?;
    enterprise.set_state(next);
    enterprise.review_message = message.to_owned();
    Ok(store(txn, caller, enterprise))
}

/// The enterprise as the transaction sees it. Errors: it is not registered.
pub(super) fn get(txn: &Txn<'_>, id: EnterpriseId) -> Result<Arc<Enterprise>> {
    txn.enterprise(id)?
        .ok_or_else(|| Error::not_found(Object::Enterprise, id))
}

pub(super) fn current(txn: &Txn<'_>, caller: &Caller, id: EnterpriseId) -> Result<Outcome> {
    if !caller.owns(id) {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Enterprise(Box::new(Arc::unwrap_or_clone(get(
        txn, id,
    )?))))
}

/// Err unless the enterprise's real-name data is verified: only then may it write.
pub(super) fn require_verified(txn: &Txn<'_>, id: EnterpriseId) -> Result<()> {
    match get(txn, id)?.state() {
        EnterpriseState::Verified => Ok(()),
        state => Err(Error::state(
            Object::Enterprise,
            id,
            format!("is {state:?}: its real-name data must be verified"),
        )),
    }
}

fn claim_certificate(txn: &Txn<'_>, profile: &Profile) -> Result<()> {
    match txn.get(Family::EnterprisesByCertificate, &profile.certificate_key())? {
        Some(_) => Err(Error::Exists {
            object: Object::Enterprise,
            name: format!("with certificate {}", profile.certificate_code),
        }),
        None => Ok(()),
    }
}

pub(super) fn store(txn: &mut Txn<'_>, caller: &Caller, mut enterprise: Enterprise) -> Outcome {
    enterprise.version = txn.next_sequence();
    enterprise.updated_at_ms = txn.now_ms();
    txn.put_message(Family::Enterprises, number_key(enterprise.id), &enterprise);
    txn.log(caller.credential(), Change::Enterprise(enterprise.clone()));
    Outcome::Enterprise(Box::new(enterprise))
}

//! Commands on credentials.

use super::Outcome;
use super::enterprises;
use super::txn::Txn;
use crate::change::Change;
use crate::credential::Credential;
use crate::enterprise::{EnterpriseId, bounded};
use crate::layout::{Family, index_key};
use crate::{Caller, Error, Object, Result};
use bytes::Bytes;

pub(super) fn add(txn: &mut Txn<'_>, caller: &Caller, credential: &Credential) -> Result<Outcome> {
    bounded("label", &credential.label, 0, 64)?;
    match credential.enterprise.map(EnterpriseId) {
        Some(id) => {
            caller.require_owner(id, &format!("enterprise {id}"))?;
            enterprises::get(txn, id)?;
            txn.set(
                Family::CredentialsByEnterprise,
                index_key(id.0, credential.id.as_bytes()),
                Some(Bytes::new()),
            );
        }
        None => caller.require_operator("an operator credential")?,
    }
    store(txn, caller, credential.clone());
    Ok(Outcome::Done)
}

pub(super) fn revoke(txn: &mut Txn<'_>, caller: &Caller, id: &str) -> Result<Outcome> {
    caller.require_known()?;
    let not_found = || Error::not_found(Object::ApiKey, id);
    let mut credential: Credential = txn
        .get_message(Family::Credentials, &id_key(id))?
        .ok_or_else(not_found)?;
    match credential.enterprise {
        // Another enterprise's key looks like none.
        Some(owner) if !caller.owns(EnterpriseId(owner)) => return Err(not_found()),
        Some(_) => {}
        None => caller.require_operator("an operator credential")?,
    }
    if credential.revoked {
        return Err(Error::state(Object::ApiKey, id, "is revoked already"));
    }
    credential.revoked = true;
    store(txn, caller, credential);
    Ok(Outcome::Done)
}

fn store(txn: &mut Txn<'_>, caller: &Caller, mut credential: Credential) {
    credential.version = txn.next_sequence();
    txn.put_message(Family::Credentials, id_key(&credential.id), &credential);
    txn.log(caller.credential(), Change::Credential(credential));
}

fn id_key(id: &str) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

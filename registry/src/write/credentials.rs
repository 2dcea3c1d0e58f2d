//! Commands on credentials.

use super::Outcome;
use super::enterprises;
use super::txn::Txn;
use crate::administrator::{administrator_key, owner_of_handle};
use crate::change::Change;
use crate::credential::Credential;
use crate::enterprise::{EnterpriseId, bounded};
use crate::layout::{Family, index_key};
use crate::{Caller, Error, Object, Result};
use bytes::Bytes;
use idnode_proto::handle::admin::AdminId;

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
    if let Some(administrator) = &credential.administrator {
        claim(txn, caller, &administrator.id()?, &credential.id)?;
    }
    store(txn, caller, credential.clone());
    Ok(Outcome::Done)
}

/// Takes an administrator's name for a credential. An enterprise takes those of its own prefixes'
/// handles alone: another one's would be proven with its key from then on.
fn claim(txn: &mut Txn<'_>, caller: &Caller, id: &AdminId, credential: &str) -> Result<()> {
    if !caller.is_operator() {
        let owner = owner_of_handle(txn, &id.handle)?;
        if !owner.is_some_and(|owner| caller.owns(owner)) {
            let reason = format!("{id}: its handle is under no prefix of the enterprise's");
            return Err(Error::Denied(reason));
        }
    }
    let key = administrator_key(id);
    if txn.get(Family::CredentialsByAdministrator, &key)?.is_some() {
        return Err(Error::exists(Object::Administrator, id));
    }
    let credential = Bytes::copy_from_slice(credential.as_bytes());
    txn.set(Family::CredentialsByAdministrator, key, Some(credential));
    Ok(())
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
    if let Some(administrator) = &credential.administrator {
        let key = administrator_key(&administrator.id()?);
        txn.set(Family::CredentialsByAdministrator, key, None);
    }
    credential.revoke();
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

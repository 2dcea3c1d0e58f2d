//! Commands on credentials.

use super::Outcome;
use super::enterprises;
use super::txn::Txn;
use crate::administrator::{administrator_key, holds, prefix_of_handle};
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
            caller.require_owner(id, || format!("enterprise {id}"))?;
            enterprises::get(txn, id)?;
            txn.set(
                Family::CredentialsByEnterprise,
                index_key(id.0, credential.id.as_bytes()),
                Some(Bytes::new()),
            );
        }
        None => caller.require_operator("an operator credential")?,
    }
    let mut credential = credential.clone();
    if let Some(administrator) = &mut credential.administrator {
        administrator.taken_by_owner = !caller.is_operator();
        claim(txn, caller, &administrator.id()?, &credential.id)?;
    }
    store(txn, caller, credential);
    Ok(Outcome::Done)
}

/// Takes an administrator's name for a credential. An enterprise takes those of its own active
/// prefixes' handles alone: another one's would be proven with its key from then on. A name that
/// an enterprise took for a prefix that is no longer its own is free.
fn claim(txn: &mut Txn<'_>, caller: &Caller, id: &AdminId, credential: &str) -> Result<()> {
    if !caller.is_operator() {
        let prefix = prefix_of_handle(txn, &id.handle)?.filter(|record| record.is_active());
        if !prefix.is_some_and(|prefix| caller.owns(prefix.owner())) {
            let reason = format!("{id}: its handle is under no active prefix of the enterprise's");
            return Err(Error::Denied(reason));
        }
    }
    let key = administrator_key(id);
    if let Some(holder) = txn.get(Family::CredentialsByAdministrator, &key)? {
        let holder: Option<Credential> = txn.get_message(Family::Credentials, &holder)?;
        if let Some(holder) = holder
            && holds(txn, &holder)?
        {
            return Err(Error::exists(Object::Administrator, id));
        }
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
        let holder = txn.get(Family::CredentialsByAdministrator, &key)?;
        // Whoever owns the handle now may have taken the name.
        if holder.is_some_and(|holder| *holder == *id.as_bytes()) {
            txn.set(Family::CredentialsByAdministrator, key, None);
        }
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

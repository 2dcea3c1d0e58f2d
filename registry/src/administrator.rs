//! Handle administrators: who holds the key at an index of a handle, and what the HS_ADMIN values
//! of another handle let it do (RFC 3651 §3.2.1, groups by HS_VLIST §3.2.7).
//!
//! An administrator with a [`crate::credential::Credential`] is that credential's enterprise or
//! the operator. One whose key is a value registered here is [`Caller::Administrator`] and has
//! the rights that the handle in question gives it, asked for anew with every command and every
//! reading: `rights` finds them, `values` is where they are read. The public key of one whose handle
//! others serve is what they show; its rights are what handles here give it all the same.

mod rights;
mod values;

use crate::credential::Credential;
use crate::layout::{Family, decode_value};
use crate::prefix::PrefixRecord;
use crate::{Caller, Error, Registry, Result, unknown_credential};
use bytes::Bytes;
use idnode_proto::handle::AdminPermissions;
use idnode_proto::handle::admin::AdminId;
pub use idnode_proto::handle::auth::ProofKey;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{ValueRef, types};
pub use rights::{MAX_GROUP_DEPTH, MAX_GROUP_READS};
pub(crate) use rights::{require_right, rights_of};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
pub(crate) use values::{Committed, HandleValues, Handles};

/// How long a key that another node has shown is taken for its present one.
const SHOWN_HOLDS: Duration = Duration::from_secs(600);

/// The key that a value holds; `None`: it is of another type, or a secret that anybody may read.
fn key_of_value(value: &ValueRef<'_>) -> Option<ProofKey> {
    let kind = value.value_type();
    if kind.eq_ignore_ascii_case(types::HS_PUBKEY) {
        return Some(ProofKey::Public(value.data().to_vec()));
    }
    let secret = kind.eq_ignore_ascii_case(types::HS_SECKEY);
    let kept = secret && !value.permissions().public_read();
    kept.then(|| ProofKey::Secret(value.data().to_vec()))
}

fn digest_of(key: &ProofKey) -> [u8; 32] {
    let (kind, data) = match key {
        ProofKey::Secret(data) => (0, data),
        ProofKey::Public(data) => (1, data),
    };
    Sha256::new()
        .chain_update([kind])
        .chain_update(data)
        .finalize()
        .into()
}

/// An administrator's key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKey {
    /// What a proof is checked with.
    pub key: ProofKey,
    /// Who whoever proves it is.
    pub caller: Caller,
}

impl AdministratorKey {
    /// That of an administrator whose handle others serve, by the values of it that they have just
    /// shown: a public key, since a secret that is shown is none.
    pub fn shown<'v>(id: &AdminId, values: impl Iterator<Item = ValueRef<'v>>) -> Option<Self> {
        let (index, key) = key_among(values, id.index)?;
        let until = Instant::now() + SHOWN_HOLDS;
        matches!(key, ProofKey::Public(_)).then(|| Self::of(id, index, key, Some(until)))
    }

    fn of(id: &AdminId, index: u32, key: ProofKey, shown_until: Option<Instant>) -> Self {
        let id = AdminId {
            handle: id.handle.clone(),
            index,
        };
        let administrator = Administrator::new(id, &key, shown_until);
        Self {
            caller: Caller::Administrator(Arc::new(administrator)),
            key,
        }
    }
}

impl Caller {
    /// The administrator that another node vouches for, which keeps its secret key. `None`: by an index
    /// that does not say which key it was.
    pub fn vouched(id: &AdminId) -> Option<Self> {
        let key = ProofKey::Secret(Vec::new());
        let until = Instant::now() + SHOWN_HOLDS;
        let named = (id.index != AdminId::ANY_INDEX).then(|| id.clone())?;
        let administrator = Administrator::new(named, &key, Some(until));
        Some(Self::Administrator(Arc::new(administrator)))
    }
}

/// Who holds a key that is a value registered here, or at another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    id: AdminId,
    /// `300:0.NA/88.118.8`.
    name: String,
    /// Of the key that was proven: another one at the same place is another administrator.
    key_digest: [u8; 32],
    /// Until when the key is believed that another node has shown; `None`: it is registered here.
    shown_until: Option<Instant>,
}

impl Administrator {
    fn new(id: AdminId, key: &ProofKey, shown_until: Option<Instant>) -> Self {
        Self {
            name: id.to_string(),
            key_digest: digest_of(key),
            id,
            shown_until,
        }
    }

    /// Where its key is.
    pub fn id(&self) -> &AdminId {
        &self.id
    }

    /// `300:0.NA/88.118.8`: what the change log calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A text of bounded length and without control characters that is nobody else's.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::new()
            .chain_update(self.id.index.to_be_bytes())
            .chain_update(self.id.handle.key())
            .finalize();
        data_encoding::HEXLOWER.encode(&digest)
    }
}

/// The key at a place, with its index; index 0: the only one the handle has.
fn key_at(handles: &impl Handles, id: &AdminId) -> Result<Option<(u32, ProofKey)>> {
    let values = handles.values_of(&id.handle)?;
    Ok(values.and_then(|values| key_among(values.iter(), id.index)))
}

/// The key at an index of these values; index 0: the only one there is.
fn key_among<'v>(
    values: impl Iterator<Item = ValueRef<'v>>,
    index: u32,
) -> Option<(u32, ProofKey)> {
    let mut keys = values
        .filter(|value| index == 0 || value.index() == index)
        .filter_map(|value| Some((value.index(), key_of_value(&value)?)));
    let key = keys.next();
    key.filter(|_| keys.next().is_none())
}

/// Whether the keys of a handle are here or nowhere: its prefix is registered here and served here.
fn is_served_here(handles: &impl Handles, handle: &Identifier) -> Result<bool> {
    let prefix = prefix_of_handle(handles, handle)?;
    Ok(prefix.is_some_and(|prefix| prefix.delegation.is_none()))
}

/// Err if the key that the administrator proved is no longer where it was.
pub(crate) fn require_standing(
    handles: &impl Handles,
    administrator: &Administrator,
) -> Result<()> {
    let stands = match administrator.shown_until {
        Some(until) => {
            Instant::now() < until && !is_served_here(handles, &administrator.id.handle)?
        }
        None => key_at(handles, &administrator.id)?
            .is_some_and(|(_, key)| digest_of(&key) == administrator.key_digest),
    };
    match stands {
        true => Ok(()),
        false => Err(Error::Unauthenticated(format!(
            "the key of administrator {} is no longer valid",
            administrator.name
        ))),
    }
}

impl Registry {
    fn committed(&self) -> Committed<'_> {
        Committed {
            store: self.store(),
            prefixes: self.prefixes(),
        }
    }

    /// The key of an administrator and who whoever proves it is: first among the credentials,
    /// then among the values registered here. Index 0 means the only key of a handle. May block
    /// on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn administrator(&self, id: &AdminId) -> Result<Option<AdministratorKey>> {
        if let Some(credential) = self.administrator_credential(id)? {
            let key = credential.proof_key();
            let caller = credential.caller();
            return Ok(key.map(|key| AdministratorKey { key, caller }));
        }
        Ok(key_at(&self.committed(), id)?
            .map(|(index, key)| AdministratorKey::of(id, index, key, None)))
    }

    /// Whether the keys of a handle are here or nowhere.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn has_keys_of(&self, handle: &Identifier) -> Result<bool> {
        is_served_here(&self.committed(), handle)
    }

    fn administrator_credential(&self, id: &AdminId) -> Result<Option<Credential>> {
        let index = self
            .store()
            .get(Family::CredentialsByAdministrator, &administrator_key(id))?;
        let Some(credential_id) = index else {
            return Ok(None);
        };
        let stored = self.store().get(Family::Credentials, &credential_id)?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let credential: Credential = decode_value(&stored)?;
        Ok(holds(&self.committed(), &credential)?.then_some(credential))
    }

    /// Err if what the caller proved once would prove nothing now: the credential was revoked,
    /// the key was changed. For sessions that outlast one request. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::Storage`].
    pub fn require_valid(&self, caller: &Caller) -> Result<()> {
        let id = match caller {
            Caller::Stranger => return Ok(()),
            Caller::Administrator(administrator) => {
                return require_standing(&self.committed(), administrator);
            }
            Caller::Operator { credential } | Caller::Enterprise { credential, .. } => credential,
        };
        if self.valid.contains(id) {
            return Ok(());
        }
        let changes = self.valid.changes();
        let stored = self.store().get(Family::Credentials, id.as_bytes())?;
        let found: Option<Credential> = stored.map(|s| decode_value(&s)).transpose()?;
        match found {
            Some(found) if holds(&self.committed(), &found)? => {
                self.valid.note(id, changes);
                Ok(())
            }
            _ => Err(unknown_credential()),
        }
    }

    /// Whether an administrator may read the values of a handle that administrators may read:
    /// its HS_ADMIN values, which are among these `count` encoded `values`, grant READ_VALUE. May
    /// block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn administrator_reads(
        &self,
        administrator: &Administrator,
        values: Bytes,
        count: u32,
    ) -> Result<bool> {
        let values = HandleValues::encoded(values, count);
        let rights = rights_of(&self.committed(), administrator, &values)?.unwrap_or_default();
        if !rights.contains(AdminPermissions::READ_VALUE) {
            return Ok(false);
        }
        match require_standing(&self.committed(), administrator) {
            Ok(()) => Ok(true),
            Err(Error::Unauthenticated(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Err unless an administrator has a right on a prefix.
    pub(crate) fn require_prefix_right(
        &self,
        administrator: &Administrator,
        prefix: &PrefixRecord,
        right: AdminPermissions,
    ) -> Result<()> {
        require_standing(&self.committed(), administrator)?;
        let rights = rights_of(
            &self.committed(),
            administrator,
            &HandleValues::of_prefix(prefix),
        )?;
        let name = format!("prefix {}", prefix.prefix()?);
        require_right(administrator, &name, rights, right)
    }
}

/// Key of an administrator among the credentials.
pub(crate) fn administrator_key(id: &AdminId) -> Bytes {
    let mut key = Vec::with_capacity(4 + id.handle.key().len());
    key.extend_from_slice(&id.index.to_be_bytes());
    key.extend_from_slice(id.handle.key());
    key.into()
}

/// The prefix whose owner may say who proves a handle's keys.
pub(crate) fn prefix_of_handle(
    handles: &impl Handles,
    handle: &Identifier,
) -> Result<Option<Arc<PrefixRecord>>> {
    match handle.prefix_handle() {
        Some(prefix) => handles.prefix_record(prefix.key()),
        None => handles.owner_record(handle),
    }
}

/// Whether a credential is good for anything: it is not revoked, and an enterprise that took the name of
/// an administrator for itself still owns the handle. What the operator gave holds until it is revoked.
pub(crate) fn holds(handles: &impl Handles, credential: &Credential) -> Result<bool> {
    let administrator = credential.administrator.as_ref();
    let Some(taken) = administrator.filter(|record| record.taken_by_owner) else {
        return Ok(!credential.revoked);
    };
    if credential.revoked {
        return Ok(false);
    }
    let prefix = prefix_of_handle(handles, &taken.id()?.handle)?;
    Ok(prefix.is_some_and(|prefix| Some(prefix.enterprise) == credential.enterprise))
}

//! Credentials: the operator token, the enterprises' API keys, and the keys of handle
//! administrators who are to be taken for the operator or an enterprise.
//!
//! A token is `idn_<id>_<secret>`, both parts random; only the secret's SHA-256 is kept. The secret
//! has 256 bits, so a plain hash is as good as a slow one. The secret key of an administrator is
//! kept as it is, until it is revoked: the Handle protocol proves it by a digest of it and of a
//! challenge (RFC 3652 §3.5.2).

use crate::administrator::ProofKey;
use crate::enterprise::EnterpriseId;
use crate::{Caller, Error, Result};
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::identifier::Identifier;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest key of an administrator, bytes.
pub const MAX_KEY_BYTES: usize = 16 << 10;

/// A credential as stored.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Credential {
    /// Its public id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// SHA-256 of the secret.
    #[prost(bytes = "bytes", tag = "2")]
    pub secret_hash: Bytes,
    /// Whose it is; `None`: the operator's.
    #[prost(uint64, optional, tag = "3")]
    pub enterprise: Option<u64>,
    /// For people.
    #[prost(string, tag = "4")]
    pub label: String,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "5")]
    pub created_at_ms: u64,
    /// No longer accepted.
    #[prost(bool, tag = "6")]
    pub revoked: bool,
    /// Sequence of its last change.
    #[prost(uint64, tag = "7")]
    pub version: u64,
    /// Of an administrator: where it says its key is. Such a credential has no token.
    #[prost(message, optional, tag = "8")]
    pub administrator: Option<AdministratorRecord>,
}

/// A handle administrator and its key, as stored.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct AdministratorRecord {
    /// Key of the identifier, see [`Identifier::key`].
    #[prost(bytes = "bytes", tag = "1")]
    pub handle: Bytes,
    /// Index of the value that would hold its key.
    #[prost(uint32, tag = "2")]
    pub index: u32,
    /// The key; none when the credential is revoked.
    #[prost(oneof = "StoredKey", tags = "3, 4")]
    pub key: Option<StoredKey>,
    /// The handle's owner took the name for itself: it is the owner's as long as the handle is.
    #[prost(bool, tag = "5")]
    pub taken_by_owner: bool,
}

/// The key of an administrator, as stored.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum StoredKey {
    /// HS_SECKEY data.
    #[prost(bytes = "bytes", tag = "3")]
    Secret(Bytes),
    /// HS_PUBKEY data.
    #[prost(bytes = "bytes", tag = "4")]
    Public(Bytes),
}

impl AdministratorRecord {
    /// Who it is.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn id(&self) -> Result<AdminId> {
        let handle = Identifier::from_key(&self.handle);
        Ok(AdminId {
            handle: handle.map_err(|e| Error::Storage(e.to_string()))?,
            index: self.index,
        })
    }
}

impl Credential {
    /// A new credential and its token, which is nowhere else.
    pub fn generate(enterprise: Option<EnterpriseId>, label: String) -> Result<(Self, String)> {
        let mut random = [0_u8; 42];
        getrandom::fill(&mut random).map_err(|e| Error::Storage(format!("no randomness: {e}")))?;
        let (id, secret) = random.split_at(10);
        let id = BASE32_NOPAD.encode(id).to_ascii_lowercase();
        let secret = BASE32_NOPAD.encode(secret).to_ascii_lowercase();
        let token = format!("idn_{id}_{secret}");
        let credential = Self {
            id,
            secret_hash: hash(&secret),
            enterprise: enterprise.map(|id| id.0),
            label,
            created_at_ms: crate::now_ms(),
            ..Self::default()
        };
        Ok((credential, token))
    }

    /// A new credential of an administrator: whoever proves this key is that enterprise, or with
    /// `None` the operator.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the index is 0, the key is empty or too long.
    pub fn of_administrator(
        enterprise: Option<EnterpriseId>,
        label: String,
        administrator: &AdminId,
        key: ProofKey,
    ) -> Result<Self> {
        if administrator.index == 0 {
            return Err(Error::invalid("administrator", "index 0 names no key"));
        }
        let (field, key) = match key {
            ProofKey::Secret(secret) => ("secret_key", StoredKey::Secret(secret.into())),
            ProofKey::Public(data) => ("public_key", StoredKey::Public(data.into())),
        };
        let (StoredKey::Secret(data) | StoredKey::Public(data)) = &key;
        if !(1..=MAX_KEY_BYTES).contains(&data.len()) {
            let reason = format!("is {} bytes, not 1 to {MAX_KEY_BYTES}", data.len());
            return Err(Error::invalid(field, reason));
        }
        let (token_less, _) = Self::generate(enterprise, label)?;
        Ok(Self {
            secret_hash: Bytes::new(),
            administrator: Some(AdministratorRecord {
                handle: Bytes::copy_from_slice(administrator.handle.key()),
                index: administrator.index,
                key: Some(key),
                taken_by_owner: false,
            }),
            ..token_less
        })
    }

    /// Whoever shows it.
    pub fn caller(&self) -> Caller {
        let credential = self.id.clone();
        match self.enterprise.map(EnterpriseId) {
            Some(id) => Caller::Enterprise { id, credential },
            None => Caller::Operator { credential },
        }
    }

    /// Of an administrator, what proves it.
    pub fn proof_key(&self) -> Option<ProofKey> {
        Some(match self.administrator.as_ref()?.key.as_ref()? {
            StoredKey::Secret(secret) => ProofKey::Secret(secret.to_vec()),
            StoredKey::Public(data) => ProofKey::Public(data.to_vec()),
        })
    }

    /// Makes it useless, and forgets an administrator's key.
    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
        if let Some(administrator) = &mut self.administrator {
            administrator.key = None;
        }
    }

    /// Whether this is the secret, in time that doesn't depend on it.
    pub fn accepts(&self, secret: &str) -> bool {
        !self.revoked && bool::from(self.secret_hash.ct_eq(&hash(secret)))
    }
}

/// The id and the secret of a token.
pub fn split_token(token: &str) -> Result<(&str, &str)> {
    token
        .trim()
        .strip_prefix("idn_")
        .and_then(|rest| rest.split_once('_'))
        .filter(|(id, secret)| id.len() == 16 && secret.len() == 52)
        .ok_or_else(|| {
            Error::Unauthenticated("the credential is not of the form idn_<id>_<secret>".into())
        })
}

fn hash(secret: &str) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_opens_its_credential_only() {
        let (one, token) = Credential::generate(None, String::new()).unwrap();
        let (other, _) = Credential::generate(Some(EnterpriseId(3)), "x".into()).unwrap();
        let (id, secret) = split_token(&token).unwrap();
        assert_eq!(id, one.id);
        assert!(one.accepts(secret));
        assert!(!other.accepts(secret));
        assert!(
            !Credential {
                revoked: true,
                ..one
            }
            .accepts(secret)
        );
        for junk in ["", "idn_", "idn_a_b", "Bearer x", &token[1..]] {
            assert!(split_token(junk).is_err(), "{junk}");
        }
    }
}

//! Credentials: the operator token and the enterprises' API keys. A token is
//! `idn_<id>_<secret>`, both parts random; only the secret's SHA-256 is kept. The secret has
//! 256 bits, so a plain hash is as good as a slow one.

use crate::enterprise::EnterpriseId;
use crate::{Error, Result};
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

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

//! Makes the data of HS_SIGNATURE and HS_CERT values.

use thiserror::Error;

use super::MAX_LINKS;
use super::claims::{CertificateClaims, Claims, MAX_PERMISSIONS, SignatureClaims};
use super::digest::{DigestAlgorithm, Digests};
use super::jws::sign_compact;
use super::key::{PrivateKey, TrustKey};
use super::name::ValueName;
use super::permission::Permission;
use crate::handle::auth::ProofError;
use crate::value::{ValueRef, types};

/// What is signed holds from this long before it is made, seconds: the clocks of those who verify
/// it may be slow.
pub const BACKDATED_S: u64 = 600;

/// When what is signed holds, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it is made.
    pub made_s: u64,
    /// From when on it holds.
    pub from_s: u64,
    /// When it ceases to.
    pub until_s: u64,
}

impl Validity {
    /// From shortly before `now_s`, seconds since 1970, for `lasts_s` seconds.
    pub fn starting(now_s: u64, lasts_s: u64) -> Self {
        Self {
            made_s: now_s,
            from_s: now_s.saturating_sub(BACKDATED_S),
            until_s: now_s.saturating_add(lasts_s),
        }
    }
}

/// Why nothing could be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The key failed, or is of a kind that signs no JWS.
    #[error("the key does not sign: {0}")]
    Key(#[from] ProofError),
    /// A list is longer than verifiers read.
    #[error("more than {limit} {part}")]
    TooMany {
        /// Which list.
        part: &'static str,
        /// How long it may be.
        limit: usize,
    },
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be written: {0}")]
    Claims(String),
}

/// A key with the name of the value that holds its public part.
#[derive(Debug)]
pub struct Signer {
    /// Who signs.
    pub name: ValueName,
    /// With what.
    pub key: PrivateKey,
    /// Where the certificates are, if not at the signer's own handle.
    pub chain: Vec<ValueName>,
}

impl Signer {
    /// HS_SIGNATURE data over those of `values` that are no signatures themselves.
    ///
    /// # Errors
    /// [`SignError`]
    pub fn signature<'a>(
        &self,
        handle: &str,
        values: impl IntoIterator<Item = ValueRef<'a>>,
        validity: Validity,
    ) -> Result<String, SignError> {
        let signed = values
            .into_iter()
            .filter(|value| value.value_type() != types::HS_SIGNATURE);
        self.sign(&SignatureClaims {
            claims: self.claims(handle.to_owned(), validity)?,
            digests: Digests::of(DigestAlgorithm::Sha256, signed),
        })
    }

    /// HS_CERT data about the key of `subject`.
    ///
    /// # Errors
    /// [`SignError`]
    pub fn certificate(
        &self,
        subject: &ValueName,
        key: &TrustKey,
        permissions: Vec<Permission>,
        validity: Validity,
    ) -> Result<String, SignError> {
        bounded("permissions", permissions.len(), MAX_PERMISSIONS)?;
        self.sign(&CertificateClaims {
            claims: self.claims(subject.to_string(), validity)?,
            public_key: key.clone(),
            perms: permissions,
        })
    }

    fn claims(&self, subject: String, validity: Validity) -> Result<Claims, SignError> {
        bounded("links in the chain", self.chain.len(), MAX_LINKS)?;
        let chain: Vec<String> = self.chain.iter().map(ValueName::to_string).collect();
        Ok(Claims {
            iss: self.name.to_string(),
            sub: subject,
            iat: validity.made_s,
            nbf: validity.from_s,
            exp: validity.until_s,
            chain: (!chain.is_empty()).then_some(chain),
        })
    }

    fn sign(&self, claims: &impl serde::Serialize) -> Result<String, SignError> {
        let payload =
            serde_json::to_vec(claims).map_err(|error| SignError::Claims(error.to_string()))?;
        Ok(sign_compact(&self.key, &payload)?)
    }
}

fn bounded(part: &'static str, count: usize, limit: usize) -> Result<(), SignError> {
    match count > limit {
        true => Err(SignError::TooMany { part, limit }),
        false => Ok(()),
    }
}

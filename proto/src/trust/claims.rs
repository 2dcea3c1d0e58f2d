//! What a signature and a certificate say (RFC 7519's claims and the system's own), as JSON.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::MAX_LINKS;
use super::digest::{Digests, MAX_DIGESTS};
use super::jws::{Jws, JwsError};
use super::key::TrustKey;
use super::permission::Permission;

/// Most permissions of a certificate.
pub const MAX_PERMISSIONS: usize = 64;

/// What both say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The signer, `index:handle`: the value that holds its key.
    pub iss: String,
    /// What is signed: of a signature the handle, of a certificate the `index:handle` of the
    /// key's value.
    pub sub: String,
    /// When it was made, seconds since 1970.
    pub iat: u64,
    /// When it begins to hold, seconds since 1970.
    pub nbf: u64,
    /// When it ceases to hold, seconds since 1970.
    pub exp: u64,
    /// Where the certificates of the signer and of those above it are, `index:handle` each; the
    /// signer's own handle if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Vec<String>>,
}

/// The payload of HS_SIGNATURE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureClaims {
    /// Who, what, when.
    #[serde(flatten)]
    pub claims: Claims,
    /// Over which values.
    pub digests: Digests,
}

/// The payload of HS_CERT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateClaims {
    /// Who, about whom, when.
    #[serde(flatten)]
    pub claims: Claims,
    /// The subject's key, a JWK.
    pub public_key: TrustKey,
    /// What the subject may sign.
    pub perms: Vec<Permission>,
}

/// Why data is no signature or certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// It is no JWS.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Its payload is not what it must be.
    #[error("the claims cannot be read: {0}")]
    Payload(String),
    /// A list of the payload has too many entries.
    #[error("more than {limit} {part}")]
    TooMany {
        /// Which list.
        part: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// Two digests of one value.
    #[error("value {0} has two digests")]
    Repeated(u32),
}

/// A JWS with its claims read.
#[derive(Debug, Clone, PartialEq)]
pub struct Token<C> {
    /// What is to be verified.
    pub jws: Jws,
    /// What it says.
    pub claims: C,
}

impl Token<SignatureClaims> {
    /// Reads HS_SIGNATURE data.
    ///
    /// # Errors
    /// [`ClaimsError`]
    pub fn signature(data: &[u8]) -> Result<Self, ClaimsError> {
        let token: Self = read(data)?;
        bounded("digests", token.claims.digests.digests.len(), MAX_DIGESTS)?;
        if let Some(index) = token.claims.digests.repeated() {
            return Err(ClaimsError::Repeated(index));
        }
        token.claims.claims.bounded()?;
        Ok(token)
    }
}

impl Token<CertificateClaims> {
    /// Reads HS_CERT data.
    ///
    /// # Errors
    /// [`ClaimsError`]
    pub fn certificate(data: &[u8]) -> Result<Self, ClaimsError> {
        let token: Self = read(data)?;
        bounded("permissions", token.claims.perms.len(), MAX_PERMISSIONS)?;
        token.claims.claims.bounded()?;
        Ok(token)
    }
}

impl Claims {
    /// Where to look for the certificate of whoever signed this: `chain[0]`, else the issuer.
    pub fn issuer_certificate(&self) -> &str {
        self.chain
            .as_ref()
            .and_then(|chain| chain.first())
            .unwrap_or(&self.iss)
    }

    fn bounded(&self) -> Result<(), ClaimsError> {
        bounded(
            "links in the chain",
            self.chain.as_ref().map_or(0, Vec::len),
            MAX_LINKS,
        )
    }
}

fn read<C: DeserializeOwned>(data: &[u8]) -> Result<Token<C>, ClaimsError> {
    let jws = Jws::parse(data)?;
    let claims = serde_json::from_slice(jws.payload())
        .map_err(|error| ClaimsError::Payload(error.to_string()))?;
    Ok(Token { jws, claims })
}

fn bounded(part: &'static str, count: usize, limit: usize) -> Result<(), ClaimsError> {
    match count > limit {
        true => Err(ClaimsError::TooMany { part, limit }),
        false => Ok(()),
    }
}

//! JSON Web Signatures (RFC 7515) in the two forms that values carry: compact, and the general
//! JSON form. Base64 is the URL's alphabet without padding, strictly.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use super::key::{self, PrivateKey, RS256, SM2256, TrustKey};
use crate::handle::auth::ProofError;

/// The longest JWS, bytes: no value of a record that fits one message is longer.
pub const MAX_JWS_LEN: usize = 262_144;
/// Most signatures of a general JSON form.
pub const MAX_JWS_SIGNATURES: usize = 8;

/// Why data is no JWS that can be verified.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Longer than [`MAX_JWS_LEN`].
    #[error("is {0} bytes long, at most {MAX_JWS_LEN} are read")]
    TooLong(usize),
    /// Neither three parts with dots between them nor a JSON object of the general form.
    #[error("is no JSON Web Signature: {0}")]
    Form(String),
    /// A part that is not base64.
    #[error("the {0} is not base64url without padding")]
    Base64(&'static str),
    /// The protected header is not JSON with an algorithm, or demands an extension.
    #[error("the protected header cannot be used: {0}")]
    Header(String),
    /// An algorithm that is neither RS256 nor SM2256.
    #[error("the algorithm {0:?} is not known")]
    Algorithm(String),
}

/// A JWS whose signatures have not been verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jws {
    payload: Vec<u8>,
    /// Base64 of the payload, as it was.
    payload_text: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    algorithm: &'static str,
    /// Base64 of the protected header. It, a dot and base64 of the payload are signed.
    header: String,
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct General {
    payload: String,
    signatures: Vec<GeneralSignature>,
}

#[derive(Deserialize, Serialize)]
struct GeneralSignature {
    protected: String,
    signature: String,
}

impl Jws {
    /// Takes a JWS of either form apart.
    ///
    /// # Errors
    /// [`JwsError`]: it is none, or an algorithm is not known.
    pub fn parse(data: &[u8]) -> Result<Self, JwsError> {
        if data.len() > MAX_JWS_LEN {
            return Err(JwsError::TooLong(data.len()));
        }
        let text = str::from_utf8(data).map_err(|_| JwsError::Form("not text".into()))?;
        match text.trim_start().starts_with('{') {
            true => Self::general(text),
            false => Self::compact(text.trim()),
        }
    }

    fn compact(text: &str) -> Result<Self, JwsError> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Form("not three parts with dots between".into()));
        };
        Ok(Self {
            payload: decode("payload", payload)?,
            payload_text: payload.to_owned(),
            signatures: vec![Signature::read(header, signature)?],
        })
    }

    fn general(text: &str) -> Result<Self, JwsError> {
        let form: General =
            serde_json::from_str(text).map_err(|error| JwsError::Form(error.to_string()))?;
        if form.signatures.is_empty() || form.signatures.len() > MAX_JWS_SIGNATURES {
            let reason = format!("not 1 to {MAX_JWS_SIGNATURES} signatures");
            return Err(JwsError::Form(reason));
        }
        let signatures = form
            .signatures
            .iter()
            .map(|one| Signature::read(&one.protected, &one.signature));
        Ok(Self {
            signatures: signatures.collect::<Result<_, _>>()?,
            payload: decode("payload", &form.payload)?,
            payload_text: form.payload,
        })
    }

    /// The payload; nothing vouches for it before [`Jws::verifies`] does.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether a signature holds under `key`. Every signature of the general form covers the
    /// whole payload, so one by the key is enough.
    pub fn verifies(&self, key: &TrustKey) -> bool {
        self.signatures.iter().any(|one| {
            let input = format!("{}.{}", one.header, self.payload_text);
            key.verifies(one.algorithm, input.as_bytes(), &one.bytes)
        })
    }

    /// How many signatures it has: the most that [`Jws::verifies`] verifies.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }
}

impl Signature {
    fn read(header: &str, signature: &str) -> Result<Self, JwsError> {
        let unusable = |reason: String| JwsError::Header(reason);
        let read: Header = serde_json::from_slice(&decode("protected header", header)?)
            .map_err(|error| unusable(error.to_string()))?;
        if read.crit.is_some() {
            return Err(unusable("it demands extensions (crit)".into()));
        }
        Ok(Self {
            algorithm: [RS256, SM2256]
                .into_iter()
                .find(|known| *known == read.alg)
                .ok_or(JwsError::Algorithm(read.alg))?,
            header: header.to_owned(),
            bytes: decode("signature", signature)?,
        })
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, JwsError> {
    BASE64URL_NOPAD
        .decode(text.as_bytes())
        .map_err(|_| JwsError::Base64(part))
}

/// The compact form of `payload` signed by `key`.
///
/// # Errors
/// The key cannot sign.
pub fn sign_compact(key: &PrivateKey, payload: &[u8]) -> Result<String, ProofError> {
    let algorithm = key::algorithm_of(key).ok_or(ProofError::Digest)?;
    let header = format!("{{\"alg\":\"{algorithm}\"}}");
    let mut text = BASE64URL_NOPAD.encode(header.as_bytes());
    text.push('.');
    BASE64URL_NOPAD.encode_append(payload, &mut text);
    let signature = key::sign(key, text.as_bytes())?;
    text.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut text);
    Ok(text)
}

/// The general JSON form of `payload` signed by each of `keys`.
///
/// # Errors
/// A key cannot sign.
pub fn sign_general(keys: &[&PrivateKey], payload: &[u8]) -> Result<String, ProofError> {
    let payload_text = BASE64URL_NOPAD.encode(payload);
    let mut signatures = Vec::with_capacity(keys.len());
    for key in keys {
        let compact = sign_compact(key, payload)?;
        let mut parts = compact.split('.');
        signatures.push(GeneralSignature {
            protected: parts.next().unwrap_or_default().to_owned(),
            signature: parts.nth(1).unwrap_or_default().to_owned(),
        });
    }
    Ok(json!({ "payload": payload_text, "signatures": signatures }).to_string())
}

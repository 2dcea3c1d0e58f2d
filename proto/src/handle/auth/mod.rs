//! Proofs that whoever asks holds a key: challenges answered natively (RFC 3652 §3.5) and over
//! the JSON API, the keys themselves, and what a session protects with its key.
//!
//! | module | holds |
//! |---|---|
//! | [`public`] | public keys: HS_PUBKEY data in its four encodings, signatures verified |
//! | [`private`] | private keys of a client, from PEM and PKCS#8; signatures made |
//! | [`secret`] | proofs with a secret key: PBKDF2 and the older digests |
//! | [`proof`] | answers to challenges, verified and made |
//! | [`api`] | the `Authorization: Handle` proofs of the JSON API |
//! | [`session`] | a session's key: made, handed over, messages encrypted |
//! | [`agreement`] | a session's key by Diffie-Hellman, or made by the client |
//! | [`credential`] | signatures and MACs behind a message |
//!
//! What is compared with a secret, or follows from one, is compared in constant time. Signatures
//! are verified with public numbers alone.

pub mod agreement;
pub mod api;
pub mod credential;
mod der;
pub mod private;
pub mod proof;
pub mod public;
pub mod secret;
pub mod session;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use sm3::Sm3;
use thiserror::Error;

use super::code::ResponseCode;

pub use api::ApiProof;
pub use credential::Credential;
pub use private::PrivateKey;
pub use proof::{ClientKey, ProofKey, verify_answer};
pub use public::PublicKey;
pub use session::SessionKey;

/// Why a proof does not hold, or cannot be checked or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// It is wrong: another key, another challenge, or what follows from neither.
    #[error("the proof does not hold")]
    Wrong,
    /// It is not of a shape that could be checked.
    #[error("the proof is malformed")]
    Malformed,
    /// It is of the other kind than the key: a signature for a secret key, or the reverse.
    #[error("the proof is for a key of another kind")]
    OtherKind,
    /// A digest that this kind of key is not used with, or one that is too weak (MD5).
    #[error("the digest is not supported with this kind of key")]
    Digest,
    /// A derivation that asks for more work than a server does for a stranger, or for none.
    #[error("the derivation of the key asks for too much or too little work")]
    Work,
    /// The key that is registered cannot be read.
    #[error("the key: {0}")]
    Key(#[from] KeyError),
    /// The operating system gives no random numbers.
    #[error("no random numbers")]
    Random,
}

impl ProofError {
    /// Whether a key has been tried, and is another: what could not be checked tells nobody whether
    /// it was right.
    pub fn is_wrong(self) -> bool {
        matches!(self, Self::Wrong | Self::OtherKind)
    }

    /// The code to answer with.
    pub fn code(self) -> ResponseCode {
        match self {
            Self::Wrong | Self::OtherKind => ResponseCode::AUTHENTICATION_FAILED,
            Self::Malformed => ResponseCode::INVALID_CREDENTIAL,
            Self::Digest | Self::Work | Self::Key(_) | Self::Random => {
                ResponseCode::UNABLE_TO_AUTHENTICATE
            }
        }
    }
}

/// Why bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// None of the encodings.
    #[error("it is in none of the encodings of a key")]
    Encoding,
    /// A kind of key that is not known here, named in its encoding.
    #[error("it is of a kind that is not supported")]
    Kind,
    /// Numbers that make no key of its kind, or a key too short to protect or too long to serve.
    #[error("its numbers make no usable key")]
    Numbers,
    /// A private key that is encrypted.
    #[error("it is encrypted; decrypt it first")]
    Encrypted,
}

/// What is digested before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashName {
    /// "SHA-1", of clients below protocol 2.7.
    Sha1,
    /// "SHA-256".
    Sha256,
    /// "SM3", of SM2 keys.
    Sm3,
    /// "Ed25519": the signature digests by itself. The name is this project's own.
    Ed25519,
}

impl HashName {
    /// Reads a name as native clients and the JSON API write it: with and without the dash, with
    /// or without the kind of key behind it ("SHA256withDSA").
    pub fn parse(name: &str) -> Option<Self> {
        let mut name = name.to_ascii_uppercase();
        name.retain(|c| c != '-');
        match name.split("WITH").next()? {
            "SHA1" | "SHA" => Some(Self::Sha1),
            "SHA256" => Some(Self::Sha256),
            "SM3" => Some(Self::Sm3),
            "ED25519" => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// The name in native proofs.
    pub fn native(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sm3 => "SM3",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The name in the JSON API.
    pub fn api(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sm3 => "SM3",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The digest of `message`; the message itself for Ed25519.
    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sm3 => Sm3::digest(message).to_vec(),
            Self::Ed25519 => message.to_vec(),
        }
    }
}

/// Random bytes of the operating system. Errors: [`ProofError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], ProofError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ProofError::Random)?;
    Ok(bytes)
}

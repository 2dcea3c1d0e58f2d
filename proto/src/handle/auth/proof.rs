//! Answers to challenges (RFC 3652 §3.5.2): what a server verifies, what a client makes.

use std::fmt;

use super::private::PrivateKey;
use super::public::PublicKey;
use super::{HashName, ProofError, secret};
use crate::handle::admin::AdminId;
use crate::handle::body::challenge::{Challenge, ChallengeAnswer, MAX_NAME_LEN, MAX_RESPONSE_LEN};
use crate::handle::digest::RequestDigest;
use crate::handle::wire::{Reader, put_sized};
use crate::value::types;

/// The key by which an administrator is known, as it is registered.
#[derive(Clone, PartialEq, Eq)]
pub enum ProofKey {
    /// HS_SECKEY data: the secret itself.
    Secret(Vec<u8>),
    /// HS_PUBKEY data, in any encoding of [`PublicKey::decode`].
    Public(Vec<u8>),
}

impl ProofKey {
    /// The type of value that holds such a key, and that an answer must name.
    pub fn value_type(&self) -> &'static str {
        match self {
            Self::Secret(_) => types::HS_SECKEY,
            Self::Public(_) => types::HS_PUBKEY,
        }
    }
}

impl fmt::Debug for ProofKey {
    /// The kind alone: a log must not keep the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value_type())
    }
}

/// Whether an answer proves `key` over the challenge. The caller has found the challenge that was
/// given to this client and forgets it, whatever comes of it; it has compared nothing else.
///
/// A secret proof costs up to 20 ms and an RSA one about 0.1 ms: not for a thread that others
/// wait for.
///
/// Errors: [`ProofError`], whose code is to be answered.
pub fn verify_answer(
    key: &ProofKey,
    challenge: &Challenge,
    answer: &ChallengeAnswer<'_>,
) -> Result<(), ProofError> {
    if answer.key_type != key.value_type() {
        return Err(ProofError::OtherKind);
    }
    verify_response(key, challenge, answer.handle, answer.response)
}

/// The same without the type that an answer names, which an operation 201 leaves out. `signer` is
/// the handle with the key, as the client spells it.
pub fn verify_response(
    key: &ProofKey,
    challenge: &Challenge,
    signer: &str,
    response: &[u8],
) -> Result<(), ProofError> {
    if response.len() > MAX_RESPONSE_LEN {
        return Err(ProofError::Malformed);
    }
    let covered = challenge.covered();
    match key {
        ProofKey::Secret(secret) => secret::verify_response(secret, &covered, response),
        ProofKey::Public(data) => {
            let key = PublicKey::decode(data)?;
            let (hash, signature) = read_signature(response)?;
            key.verify(hash, signer, &covered, signature)
        }
    }
}

/// The response of a public key: the name of the digest and the signature.
fn read_signature(response: &[u8]) -> Result<(HashName, &[u8]), ProofError> {
    let bad = |_| ProofError::Malformed;
    let mut reader = Reader::new(response);
    let name = reader.str("digest name", MAX_NAME_LEN).map_err(bad)?;
    let signature = reader.sized("signature", MAX_RESPONSE_LEN).map_err(bad)?;
    let hash = HashName::parse(name).ok_or(ProofError::Digest)?;
    Ok((hash, signature))
}

/// The key that a client proves itself with.
#[derive(Debug)]
pub enum ClientKey {
    /// A secret shared with the server.
    Secret(SecretKey),
    /// A private key whose public key the server knows.
    Private(PrivateKey),
}

/// A secret key, kept out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub Vec<u8>);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl ClientKey {
    /// A secret key.
    pub fn secret(secret: impl Into<Vec<u8>>) -> Self {
        Self::Secret(SecretKey(secret.into()))
    }

    /// The type of value that holds the key.
    pub fn value_type(&self) -> &'static str {
        match self {
            Self::Secret(_) => types::HS_SECKEY,
            Self::Private(_) => types::HS_PUBKEY,
        }
    }

    /// The body of an operation 200 by which `identity` answers a challenge. One with a digest
    /// other than SHA-256 comes from a server below protocol 2.7 and is answered in its forms.
    ///
    /// Errors: [`ProofError`] when the key cannot sign or there is no randomness.
    pub fn answer(&self, identity: &AdminId, challenge: &Challenge) -> Result<Vec<u8>, ProofError> {
        let handle = identity.handle.display();
        let covered = challenge.covered();
        let older = !matches!(challenge.digest, RequestDigest::Sha256(_));
        let response = match self {
            Self::Secret(SecretKey(secret)) => secret::make_response(secret, &covered, older)?,
            Self::Private(key) => {
                let hash = key.hash_for(older);
                let signature = key.sign(hash, &handle, &covered)?;
                let mut response = Vec::with_capacity(16 + signature.len());
                put_sized(&mut response, hash.native().as_bytes());
                put_sized(&mut response, &signature);
                response
            }
        };
        let answer = ChallengeAnswer {
            key_type: self.value_type(),
            handle: &handle,
            index: identity.index,
            response: &response,
        };
        Ok(answer.encode())
    }
}

//! Proofs of the JSON API: `Authorization: Handle` names a session, whose nonce the server has
//! given, and a nonce of the client's. M is the server's nonce ‖ the client's.
//!
//! | type | alg | proof |
//! |---|---|---|
//! | HS_PUBKEY | SHA1, SHA256, SM3 (Ed25519) | signature over M, as in a native answer |
//! | HS_SECKEY | SHA1, SHA256 | digest of key ‖ M ‖ key |
//! | HS_SECKEY | HMAC-SHA1, HMAC-SHA256 | HMAC of M |
//! | HS_SECKEY | PBKDF2-HMAC-SHA1 | HMAC-SHA1 of M with a derived key: salt, iterations, length in bits |

use super::private::PrivateKey;
use super::proof::{ClientKey, ProofKey, SecretKey};
use super::public::PublicKey;
use super::secret::{Derivation, ITERATIONS, KEY_BITS, SecretAlgorithm};
use super::{HashName, ProofError, random};

/// The longest nonce, bytes.
pub const MAX_NONCE_LEN: usize = 1024;

/// The parts of the header that prove a key; texts as they stand there, bytes out of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiProof<'a> {
    /// `type`: HS_SECKEY or HS_PUBKEY.
    pub key_type: &'a str,
    /// `alg`.
    pub algorithm: &'a str,
    /// `cnonce`.
    pub client_nonce: &'a [u8],
    /// `signature`.
    pub signature: &'a [u8],
    /// `salt`, of a derived key.
    pub salt: &'a [u8],
    /// `iterations`, of a derived key.
    pub iterations: u32,
    /// `length`, of a derived key, bits.
    pub key_bits: u32,
}

impl<'a> ApiProof<'a> {
    /// A proof without derivation.
    pub fn new(
        key_type: &'a str,
        algorithm: &'a str,
        client_nonce: &'a [u8],
        signature: &'a [u8],
    ) -> Self {
        Self {
            key_type,
            algorithm,
            client_nonce,
            signature,
            salt: &[],
            iterations: 0,
            key_bits: 0,
        }
    }

    /// Whether the proof is that of `key` for the session with `server_nonce`. `signer` is the
    /// handle with the key, without its index. Errors: [`ProofError`].
    pub fn verify(
        &self,
        key: &ProofKey,
        signer: &str,
        server_nonce: &[u8],
    ) -> Result<(), ProofError> {
        if self.key_type != key.value_type() {
            return Err(ProofError::OtherKind);
        }
        if self.client_nonce.is_empty() || self.client_nonce.len() > MAX_NONCE_LEN {
            return Err(ProofError::Malformed);
        }
        let message = [server_nonce, self.client_nonce].concat();
        match key {
            ProofKey::Secret(secret) => {
                self.secret_algorithm()?
                    .verify(secret, &message, self.signature)
            }
            ProofKey::Public(data) => {
                let hash = HashName::parse(self.algorithm).ok_or(ProofError::Digest)?;
                PublicKey::decode(data)?.verify(hash, signer, &message, self.signature)
            }
        }
    }

    fn secret_algorithm(&self) -> Result<SecretAlgorithm<'a>, ProofError> {
        let mut name = self.algorithm.to_ascii_uppercase();
        name.retain(|c| c != '-');
        Ok(match name.as_str() {
            "SHA1" => SecretAlgorithm::Sha1,
            "SHA256" => SecretAlgorithm::Sha256,
            "HMACSHA1" => SecretAlgorithm::HmacSha1,
            "HMACSHA256" => SecretAlgorithm::HmacSha256,
            "PBKDF2HMACSHA1" => SecretAlgorithm::Pbkdf2HmacSha1(Derivation {
                salt: self.salt,
                iterations: self.iterations,
                key_bits: self.key_bits,
            }),
            _ => return Err(ProofError::Digest),
        })
    }
}

/// A proof made by a client, to be put into the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnApiProof {
    /// `type`.
    pub key_type: &'static str,
    /// `alg`.
    pub algorithm: &'static str,
    /// `cnonce`, before base64.
    pub client_nonce: Vec<u8>,
    /// `signature`, before base64.
    pub signature: Vec<u8>,
    /// `salt` before base64, `iterations` and `length`, of a derived key.
    pub derivation: Option<(Vec<u8>, u32, u32)>,
}

impl OwnApiProof {
    /// The proof of `key` for the session with `server_nonce`, with a nonce of its own. `signer` is
    /// the handle with the key. Errors: [`ProofError`] when the key cannot sign or there is no
    /// randomness.
    pub fn make(key: &ClientKey, signer: &str, server_nonce: &[u8]) -> Result<Self, ProofError> {
        let client_nonce = random::<16>()?.to_vec();
        let message = [server_nonce, &client_nonce].concat();
        match key {
            ClientKey::Secret(SecretKey(secret)) => {
                let salt = random::<16>()?.to_vec();
                let algorithm = SecretAlgorithm::Pbkdf2HmacSha1(Derivation {
                    salt: &salt,
                    iterations: ITERATIONS,
                    key_bits: KEY_BITS,
                });
                Ok(Self {
                    key_type: key.value_type(),
                    algorithm: "PBKDF2-HMAC-SHA1",
                    client_nonce,
                    signature: algorithm.prove(secret, &message)?,
                    derivation: Some((salt, ITERATIONS, KEY_BITS)),
                })
            }
            ClientKey::Private(private) => {
                let hash = PrivateKey::hash_for(private, false);
                Ok(Self {
                    key_type: key.value_type(),
                    algorithm: hash.api(),
                    signature: private.sign(hash, signer, &message)?,
                    client_nonce,
                    derivation: None,
                })
            }
        }
    }
}

//! Proofs with a secret key.
//!
//! | first octet of a native response | proof over M = nonce ‖ request digest |
//! |---|---|
//! | 0x22 | `str` salt, u32 iterations, u32 key bits, `str` HMAC-SHA1(PBKDF2-HMAC-SHA1(key, salt), M); from protocol 2.7 on |
//! | 0x12 | HMAC-SHA1(key, M) (RFC 3652 §3.5.2) |
//! | 0x02 | SHA-1(key ‖ M ‖ key) (RFC 3652 §3.5.2), below protocol 2.7 |
//! | 0x11, 0x01 | the same with MD5: refused |

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ProofError, random};
use crate::handle::wire::{Reader, put_sized};

const PBKDF2_HMAC_SHA1: u8 = 0x22;
const HMAC_SHA1: u8 = 0x12;
const PLAIN_SHA1: u8 = 0x02;
const HMAC_MD5: u8 = 0x11;
const PLAIN_MD5: u8 = 0x01;

/// What clients derive with, iterations.
pub const ITERATIONS: u32 = 10_000;
/// What clients derive, bits.
pub const KEY_BITS: u32 = 160;
/// The most iterations that a client may make a server do, for each 160 bits of the derived key:
/// about 20 ms of one core.
pub const MAX_ITERATIONS: u32 = 100_000;
/// The shortest derived key, bits: all shorter ones could be tried, without the secret.
pub const MIN_KEY_BITS: u32 = 128;
/// The longest derived key, bits.
pub const MAX_KEY_BITS: u32 = 512;
/// The longest salt, bytes.
pub const MAX_SALT_LEN: usize = 1024;
/// The length of an HMAC-SHA1 and of a SHA-1, bytes.
const SHA1_LEN: usize = 20;

/// How a secret key is made the key of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derivation<'a> {
    /// Chosen by the client, at most [`MAX_SALT_LEN`] bytes.
    pub salt: &'a [u8],
    /// Chosen by the client, bounded by [`Derivation::check`].
    pub iterations: u32,
    /// The length of the key, bits.
    pub key_bits: u32,
}

impl Derivation<'_> {
    /// Whether the work is one that a server does. Errors: [`ProofError::Work`].
    pub fn check(&self) -> Result<(), ProofError> {
        let blocks = self.key_bits.div_ceil(KEY_BITS);
        let work = u64::from(self.iterations) * u64::from(blocks);
        let fits = self.key_bits.is_multiple_of(8)
            && (MIN_KEY_BITS..=MAX_KEY_BITS).contains(&self.key_bits)
            && (1..=u64::from(MAX_ITERATIONS)).contains(&work)
            && self.salt.len() <= MAX_SALT_LEN;
        fits.then_some(()).ok_or(ProofError::Work)
    }

    /// The derived key. Errors: [`ProofError::Work`].
    pub fn derive(&self, secret: &[u8]) -> Result<Vec<u8>, ProofError> {
        self.check()?;
        let mut key = vec![0; (self.key_bits / 8) as usize];
        pbkdf2::pbkdf2_hmac::<Sha1>(secret, self.salt, self.iterations, &mut key);
        Ok(key)
    }
}

/// What is computed of a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretAlgorithm<'a> {
    /// SHA-1(key ‖ M ‖ key).
    Sha1,
    /// SHA-256(key ‖ M ‖ key).
    Sha256,
    /// HMAC-SHA1(key, M).
    HmacSha1,
    /// HMAC-SHA256(key, M).
    HmacSha256,
    /// HMAC-SHA1 with a derived key.
    Pbkdf2HmacSha1(Derivation<'a>),
}

impl SecretAlgorithm<'_> {
    /// The proof over `message`. Errors: [`ProofError::Work`].
    pub fn prove(&self, secret: &[u8], message: &[u8]) -> Result<Vec<u8>, ProofError> {
        Ok(match self {
            Self::Sha1 => sandwich::<Sha1>(secret, message),
            Self::Sha256 => sandwich::<Sha256>(secret, message),
            Self::HmacSha1 => hmac_sha1(secret, message),
            Self::HmacSha256 => hmac_sha256(secret, message),
            Self::Pbkdf2HmacSha1(derivation) => hmac_sha1(&derivation.derive(secret)?, message),
        })
    }

    /// Whether `proof` is the one over `message`, in constant time.
    /// Errors: [`ProofError::Wrong`], [`ProofError::Work`].
    pub fn verify(&self, secret: &[u8], message: &[u8], proof: &[u8]) -> Result<(), ProofError> {
        let expected = self.prove(secret, message)?;
        // Everybody knows the empty one.
        if secret.is_empty() {
            return Err(ProofError::Wrong);
        }
        if bool::from(expected.ct_eq(proof)) {
            Ok(())
        } else {
            Err(ProofError::Wrong)
        }
    }
}

/// Whether a native response proves the secret key over `message`.
/// Errors: every [`ProofError`] but those of keys and randomness.
pub fn verify_response(secret: &[u8], message: &[u8], response: &[u8]) -> Result<(), ProofError> {
    let (algorithm, rest) = response.split_first().ok_or(ProofError::Malformed)?;
    match *algorithm {
        PBKDF2_HMAC_SHA1 => {
            let (derivation, proof) = read_pbkdf2(rest)?;
            SecretAlgorithm::Pbkdf2HmacSha1(derivation).verify(secret, message, proof)
        }
        HMAC_SHA1 => SecretAlgorithm::HmacSha1.verify(secret, message, rest),
        PLAIN_SHA1 => SecretAlgorithm::Sha1.verify(secret, message, rest),
        HMAC_MD5 | PLAIN_MD5 => Err(ProofError::Digest),
        _ => Err(ProofError::Malformed),
    }
}

fn read_pbkdf2(rest: &[u8]) -> Result<(Derivation<'_>, &[u8]), ProofError> {
    let bad = |_| ProofError::Malformed;
    let mut reader = Reader::new(rest);
    let derivation = Derivation {
        salt: reader.sized("salt", MAX_SALT_LEN).map_err(bad)?,
        iterations: reader.u32("iterations").map_err(bad)?,
        key_bits: reader.u32("key length").map_err(bad)?,
    };
    // One client leaves the length of the MAC out.
    let proof = if reader.rest().len() == SHA1_LEN {
        reader.rest()
    } else {
        reader.sized("MAC", SHA1_LEN).map_err(bad)?
    };
    Ok((derivation, proof))
}

/// A native response that proves the secret key over `message`: with a fresh salt, or in the older
/// form for servers below protocol 2.7. Errors: [`ProofError::Random`].
pub fn make_response(secret: &[u8], message: &[u8], older: bool) -> Result<Vec<u8>, ProofError> {
    if older {
        let proof = SecretAlgorithm::Sha1.prove(secret, message)?;
        return Ok([&[PLAIN_SHA1], &proof[..]].concat());
    }
    let salt = random::<16>()?;
    let derivation = Derivation {
        salt: &salt,
        iterations: ITERATIONS,
        key_bits: KEY_BITS,
    };
    let proof = SecretAlgorithm::Pbkdf2HmacSha1(derivation).prove(secret, message)?;
    let mut response = vec![PBKDF2_HMAC_SHA1];
    put_sized(&mut response, &salt);
    response.extend_from_slice(&ITERATIONS.to_be_bytes());
    response.extend_from_slice(&KEY_BITS.to_be_bytes());
    put_sized(&mut response, &proof);
    Ok(response)
}

fn sandwich<D: Digest>(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let digest = D::new()
        .chain_update(secret)
        .chain_update(message)
        .chain_update(secret);
    digest.finalize().to_vec()
}

/// HMAC-SHA1 with a key of any length.
pub(super) fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    Hmac::<Sha1>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}

/// HMAC-SHA256 with a key of any length.
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}

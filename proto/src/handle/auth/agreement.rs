//! Keys of sessions that the client has a part in (RFC 3652 §3.8): Diffie-Hellman, and keys that
//! the client makes and encrypts to a key of the server's.
//!
//! The RFC says neither the order of the three numbers of Diffie-Hellman nor how a key follows from
//! what is agreed on, and nothing else public does. Here the greatest number is the prime, and of the
//! others the shorter one the generator, of two equally long ones the first. The server answers its
//! public number in the same group. The key is AES-128's: the first 16 octets of SHA-256 over the
//! agreed number, which is written as long as the prime.

use std::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use getrandom::SysRng;
use sha2::{Digest, Sha256};
use sm2::elliptic_curve::Generate as _;

use super::private::PrivateKey;
use super::public::unsigned;
use super::session::SessionKey;
use super::{KeyError, ProofError, random};

/// The shortest prime, bits.
pub const MIN_PRIME_BITS: usize = 1_024;
/// The longest prime, bits: an agreement takes some ten milliseconds.
pub const MAX_PRIME_BITS: usize = 4_096;
/// The length of a secret exponent, bytes: twice the strength of the key.
const SECRET_LEN: usize = 32;
/// The length of RSA keys that session keys are encrypted to, bits.
const RSA_BITS: usize = 2_048;

/// One side's part of an agreement: a group and a secret number.
pub struct DiffieHellman {
    prime: Vec<u8>,
    params: BoxedMontyParams,
    generator: Vec<u8>,
    secret: BoxedUint,
}

impl fmt::Debug for DiffieHellman {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.prime.len() * 8;
        write!(f, "DiffieHellman({bits} bits)")
    }
}

impl DiffieHellman {
    /// A new secret in a group, whose numbers are big-endian. Whether the prime is one is not
    /// examined: whoever sends another weakens its own session.
    ///
    /// # Errors
    /// [`ProofError::Key`] for a prime that is even or of another length than [`MIN_PRIME_BITS`] to
    /// [`MAX_PRIME_BITS`], and for a generator of no group; [`ProofError::Random`].
    pub fn new(prime: &[u8], generator: &[u8]) -> Result<Self, ProofError> {
        let unusable = ProofError::Key(KeyError::Numbers);
        let (prime, generator) = (unsigned(prime), unsigned(generator));
        let bits = prime.len() * 8;
        if !(MIN_PRIME_BITS..=MAX_PRIME_BITS).contains(&bits) || !is_inside(generator, prime) {
            return Err(unusable);
        }
        let modulus = BoxedUint::from_be_slice_vartime(prime);
        let modulus = Option::<Odd<BoxedUint>>::from(Odd::new(modulus)).ok_or(unusable)?;
        Ok(Self {
            prime: prime.to_vec(),
            params: BoxedMontyParams::new_vartime(modulus),
            generator: generator.to_vec(),
            secret: BoxedUint::from_be_slice_vartime(&random::<SECRET_LEN>()?),
        })
    }

    /// A new secret in the group of a peer's numbers, and the peer's public number.
    ///
    /// # Errors
    /// Those of [`DiffieHellman::new`].
    pub fn with<'a>(numbers: [&'a [u8]; 3]) -> Result<(Self, &'a [u8]), ProofError> {
        let [a, b, c] = numbers.map(unsigned);
        let size = |number: &'a [u8]| (number.len(), number);
        let (prime, first, second) = if size(a) >= size(b) && size(a) >= size(c) {
            (a, b, c)
        } else if size(b) >= size(c) {
            (b, a, c)
        } else {
            (c, a, b)
        };
        let (generator, public) = match second.len() < first.len() {
            true => (second, first),
            false => (first, second),
        };
        Self::new(prime, generator).map(|own| (own, public))
    }

    /// The public number to this side's secret, as long as the prime.
    pub fn public(&self) -> Vec<u8> {
        self.power(&self.generator)
    }

    /// The session's key, with the other side's public number.
    ///
    /// # Errors
    /// [`ProofError::Key`] for a number of no use: 0, 1, or the prime less 1 and beyond, and one that
    /// all secrets make 1 of.
    pub fn key_with(&self, public: &[u8]) -> Result<SessionKey, ProofError> {
        let unusable = ProofError::Key(KeyError::Numbers);
        let public = unsigned(public);
        if !is_inside(public, &self.prime) {
            return Err(unusable);
        }
        let shared = self.power(public);
        if unsigned(&shared) == [1] {
            return Err(unusable);
        }
        let digest = Sha256::digest(&shared);
        let (key, _) = digest.split_first_chunk().ok_or(unusable)?;
        Ok(SessionKey::Aes128(*key))
    }

    /// A number to the power of the secret, as long as the prime.
    fn power(&self, base: &[u8]) -> Vec<u8> {
        // It is less than the modulus, so that nothing is cut off.
        let base = BoxedUint::from_be_slice_truncated(base, self.params.bits_precision());
        let power = BoxedMontyForm::new(base, &self.params).pow(&self.secret);
        let octets = power.retrieve().to_be_bytes();
        let octets = unsigned(&octets);
        let mut padded = vec![0; self.prime.len().saturating_sub(octets.len())];
        padded.extend_from_slice(octets);
        padded
    }
}

/// Whether 1 < number < prime - 1; neither has leading zero octets, and the prime is odd or refused
/// for not being so.
fn is_inside(number: &[u8], prime: &[u8]) -> bool {
    let mut end = prime.to_vec();
    if let Some(last) = end.last_mut() {
        *last &= 0xfe;
    }
    let above_one = !number.is_empty() && number != [1];
    above_one && (number.len(), number) < (end.len(), &end[..])
}

/// Of which kind a server's key is that session keys are encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    /// RSA of 2,048 bits, for keys of AES.
    Rsa,
    /// SM2, for keys of SM4.
    Sm2,
}

/// A server's key that clients encrypt session keys to. It is for nothing else: what opens
/// whatever anybody sends must not be what signs.
#[derive(Debug)]
pub struct ExchangeKey {
    key: PrivateKey,
    public: Vec<u8>,
    /// Of what is encrypted to an RSA key.
    sealed_len: usize,
}

impl ExchangeKey {
    /// A new key. One for RSA takes up to some seconds.
    ///
    /// # Errors
    /// [`ProofError::Random`], and [`ProofError::Key`] never for what was just made.
    pub fn make(kind: ExchangeKind) -> Result<Self, ProofError> {
        let key = match kind {
            ExchangeKind::Rsa => rsa::PrivateKey::new(&mut SysRng, RSA_BITS)
                .map(|key| PrivateKey::Rsa(Box::new(key)))
                .map_err(|_| ProofError::Random)?,
            ExchangeKind::Sm2 => sm2::SecretKey::try_generate()
                .map(|key| PrivateKey::Sm2(Box::new(key)))
                .map_err(|_| ProofError::Random)?,
        };
        let public = key.public_key().and_then(|public| public.encode())?;
        Ok(Self {
            key,
            public,
            sealed_len: RSA_BITS / 8,
        })
    }

    /// Its public part, HS_PUBKEY data.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The session's key in what a client has encrypted. What is encrypted to RSA, of the right
    /// length and yet wrong opens to a key that nobody knows: from being told whether it opened one
    /// could learn what others have sent (RFC 5246 §7.4.7.1).
    ///
    /// # Errors
    /// [`ProofError::Malformed`], [`ProofError::Wrong`], [`ProofError::Digest`].
    pub fn open(&self, sealed: &[u8]) -> Result<SessionKey, ProofError> {
        let PrivateKey::Rsa(_) = self.key else {
            return SessionKey::open(&self.key, sealed);
        };
        if sealed.len() != self.sealed_len {
            return Err(ProofError::Malformed);
        }
        let unknown = SessionKey::Aes128(random()?);
        Ok(SessionKey::open(&self.key, sealed).unwrap_or(unknown))
    }
}

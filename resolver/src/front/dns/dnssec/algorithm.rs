//! Key pairs of the algorithms that zones are signed with: ECDSA on P-256 with SHA-256 (RFC 6605)
//! and Ed25519 (RFC 8080). ring does the arithmetic.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};

/// Bytes of a signature, of either algorithm.
pub const SIGNATURE_BYTES: usize = 64;
/// What an uncompressed point of a curve begins with (SEC 1 §2.3.3); DNSKEY leaves it out.
const UNCOMPRESSED_POINT: u8 = 4;

/// An algorithm of signatures (IANA, DNS security algorithm numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// ECDSA on curve P-256 with SHA-256: what every validator knows (RFC 8624 §3.1).
    EcdsaP256Sha256 = 13,
    /// Ed25519.
    Ed25519 = 15,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::EcdsaP256Sha256, Self::Ed25519];

    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Its mnemonic.
    pub fn mnemonic(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ECDSAP256SHA256",
            Self::Ed25519 => "ED25519",
        }
    }

    /// The one of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.number() == number)
    }
}

/// Why a key pair is not to be had, or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The private key is damaged or another algorithm's.
    #[error("no {} key: {reason}", algorithm.mnemonic())]
    Key {
        /// The algorithm it was to be of.
        algorithm: Algorithm,
        /// What is wrong.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// A key pair that signs.
pub enum SigningKey {
    /// ECDSA on P-256: the key and the source of each signature's random number.
    EcdsaP256Sha256(Box<EcdsaKeyPair>, SystemRandom),
    /// Ed25519.
    Ed25519(Box<Ed25519KeyPair>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey")
            .field(&self.algorithm())
            .finish()
    }
}

impl SigningKey {
    /// A new key pair as PKCS#8 (RFC 5958).
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, CryptoError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        let document = document.map_err(|_| CryptoError::Random)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads PKCS#8 that [`SigningKey::generate`] made; that the two halves belong together is
    /// checked.
    ///
    /// # Errors
    /// [`CryptoError::Key`].
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let refused = |error: ring::error::KeyRejected| CryptoError::Key {
            algorithm,
            reason: error.to_string(),
        };
        Ok(match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                let random = SystemRandom::new();
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random);
                Self::EcdsaP256Sha256(Box::new(pair.map_err(refused)?), random)
            }
            Algorithm::Ed25519 => Self::Ed25519(Box::new(
                Ed25519KeyPair::from_pkcs8(pkcs8).map_err(refused)?,
            )),
        })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::EcdsaP256Sha256(..) => Algorithm::EcdsaP256Sha256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public key as DNSKEY has it (RFC 6605 §4, RFC 8080 §3).
    pub fn public_key(&self) -> &[u8] {
        match self {
            Self::EcdsaP256Sha256(pair, _) => {
                let point = pair.public_key().as_ref();
                point.strip_prefix(&[UNCOMPRESSED_POINT]).unwrap_or(point)
            }
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// Signs a message as RRSIG wants it (RFC 6605 §4, RFC 8080 §4).
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], CryptoError> {
        let signature = match self {
            Self::EcdsaP256Sha256(pair, random) => pair
                .sign(random, message)
                .map_err(|_| CryptoError::Random)?,
            Self::Ed25519(pair) => pair.sign(message),
        };
        // Both have this size, always.
        signature
            .as_ref()
            .try_into()
            .map_err(|_| CryptoError::Random)
    }
}

//! Keys of trusted resolution, which are keys of handles ([`crate::handle::auth`]): how
//! certificates write them, and new ones.

use data_encoding::BASE64URL_NOPAD;
use getrandom::SysRng;
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use sm2::elliptic_curve::Generate as _;
use sm2::pkcs8::EncodePrivateKey as _;
use sm2::pkcs8::der::pem::LineEnding;
use thiserror::Error;

use crate::handle::auth::private::sign_sm2;
use crate::handle::auth::public::{unsigned, verify_sm2};
use crate::handle::auth::{HashName, ProofError};

pub use crate::handle::auth::{KeyError, PrivateKey, PublicKey};

/// RSA with SHA-256, PKCS#1 v1.5 (RFC 7518 §3.3).
pub const RS256: &str = "RS256";
/// SM2 with SM3 and the default user id, the signature DER(r, s).
pub const SM2256: &str = "SM2256";
/// The user id of SM2 signatures whose parties have agreed on none (GM/T 0009).
const SM2_USER_ID: &str = "1234567812345678";
/// The shortest RSA modulus that is trusted, bits.
const MIN_RSA_BITS: u32 = 2_048;

/// What keys are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// [`RS256`], with 2,048 bits.
    Rs256,
    /// [`SM2256`].
    Sm2256,
}

/// Why a key cannot be made or trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TrustKeyError {
    /// It cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is of a kind that signatures of trusted resolution are not made with, or too short.
    #[error("it is neither an RSA key of 2048 bits or more nor an SM2 key")]
    Unfit,
    /// The operating system gives no random bytes.
    #[error("no random bytes can be had")]
    Random,
}

/// A public key whose signatures are trusted: RSA of 2,048 bits or more, or SM2. In JSON a JWK
/// (RFC 7517): RSA with `n` and `e`; SM2 with `d`, the DER of the public key.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustKey(PublicKey);

impl TrustKey {
    /// Takes a key for one that may be trusted.
    ///
    /// # Errors
    /// [`TrustKeyError::Unfit`]
    pub fn new(key: PublicKey) -> Result<Self, TrustKeyError> {
        let fit = match &key {
            PublicKey::Rsa(key) => key.n().bit_width() >= MIN_RSA_BITS,
            PublicKey::Sm2(_) => true,
            PublicKey::Dsa(_) | PublicKey::Ed25519(_) => false,
        };
        if fit {
            Ok(Self(key))
        } else {
            Err(TrustKeyError::Unfit)
        }
    }

    /// Reads a PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`TrustKeyError`]
    pub fn from_pem(text: &str) -> Result<Self, TrustKeyError> {
        Self::new(PublicKey::from_pem(text)?)
    }

    /// The public half of a key that signs.
    ///
    /// # Errors
    /// [`TrustKeyError`]
    pub fn of(key: &PrivateKey) -> Result<Self, TrustKeyError> {
        Self::new(key.public_key()?)
    }

    /// Whether `signature` is the key's over `message` by the algorithm that a JWS names.
    pub fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let verdict = match (&self.0, algorithm) {
            (PublicKey::Rsa(_), RS256) => self.0.verify(HashName::Sha256, "", message, signature),
            (PublicKey::Sm2(key), SM2256) => verify_sm2(key, SM2_USER_ID, message, signature),
            _ => Err(ProofError::Digest),
        };
        verdict.is_ok()
    }

    /// The key itself.
    pub fn key(&self) -> &PublicKey {
        &self.0
    }
}

/// The algorithm by which a key signs a JWS; `None` for those that no client verifies.
pub fn algorithm_of(key: &PrivateKey) -> Option<&'static str> {
    match key {
        PrivateKey::Rsa(_) => Some(RS256),
        PrivateKey::Sm2(_) => Some(SM2256),
        PrivateKey::Dsa(_) | PrivateKey::Ed25519(_) => None,
    }
}

/// A signature over `message` by [`algorithm_of`] the key.
///
/// # Errors
/// The key fails, or has no algorithm.
pub fn sign(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, ProofError> {
    match key {
        PrivateKey::Rsa(_) => key.sign(HashName::Sha256, "", message),
        PrivateKey::Sm2(key) => sign_sm2(key, SM2_USER_ID, message),
        PrivateKey::Dsa(_) | PrivateKey::Ed25519(_) => Err(ProofError::Digest),
    }
}

/// A new private key as PKCS#8 PEM.
///
/// # Errors
/// [`TrustKeyError::Random`]
pub fn generate_pem(algorithm: Algorithm) -> Result<String, TrustKeyError> {
    let pem = match algorithm {
        Algorithm::Rs256 => rsa::PrivateKey::new(&mut SysRng, MIN_RSA_BITS as usize)
            .ok()
            .and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok()),
        Algorithm::Sm2256 => sm2::SecretKey::try_generate()
            .ok()
            .and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok()),
    };
    pem.map(|text| text.to_string())
        .ok_or(TrustKeyError::Random)
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "SM2")]
    Sm2 { d: String },
}

impl Serialize for TrustKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = |bytes: &[u8]| BASE64URL_NOPAD.encode(unsigned(bytes));
        let jwk = match &self.0 {
            PublicKey::Rsa(key) => Jwk::Rsa {
                n: number(&key.n_bytes()),
                e: number(&key.e_bytes()),
            },
            _ => Jwk::Sm2 {
                d: BASE64URL_NOPAD.encode(&self.0.to_spki().map_err(ser::Error::custom)?),
            },
        };
        jwk.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TrustKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |text: &str| {
            BASE64URL_NOPAD
                .decode(text.as_bytes())
                .map_err(|_| de::Error::custom("a part of the key is not base64url"))
        };
        let key = match Jwk::deserialize(deserializer)? {
            Jwk::Rsa { n, e } => PublicKey::rsa(&bytes(&n)?, &bytes(&e)?),
            Jwk::Sm2 { d } => PublicKey::from_spki(&bytes(&d)?),
        };
        let unusable = |error| de::Error::custom(format_args!("the key: {error}"));
        key.map_err(TrustKeyError::from)
            .and_then(Self::new)
            .map_err(unusable)
    }
}

//! Keys of trusted resolution and their algorithms.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use getrandom::SysRng;
use ring::rand;
use ring::signature::{self, KeyPair as _, RsaKeyPair};
use rsa::BoxedUint;
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use sm2::dsa::signature::{Signer as _, Verifier as _};
use sm2::dsa::{Signature as Sm2Signature, SigningKey, VerifyingKey};
use sm2::elliptic_curve::Generate as _;
use sm2::pkcs8::der::pem::LineEnding;
use sm2::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, Document, EncodePrivateKey as _,
    EncodePublicKey as _, SecretDocument,
};
use thiserror::Error;

/// The user id of SM2 signatures that are made over JWS (GM/T 0009's default).
const SM2_USER_ID: &str = "1234567812345678";
/// The longest DER of a public key that is read, bytes: RSA of 8,192 bits and its framing.
const MAX_KEY_LEN: usize = 1_200;

/// How a JWS is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256 (RFC 7518 §3.3), 2,048 to 8,192 bits.
    Rs256,
    /// SM2 with SM3 and the default user id, the signature DER(r, s).
    Sm2256,
}

impl Algorithm {
    /// Its name in a JWS header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Sm2256 => "SM2256",
        }
    }

    /// The algorithm of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Sm2256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is no PEM of a kind that is read.
    #[error("is no PEM of a {0}")]
    Pem(&'static str),
    /// It is neither RSA of 2,048 to 8,192 bits nor SM2.
    #[error("is neither an RSA key of 2048 to 8192 bits nor an SM2 key")]
    Unusable,
    /// The operating system gives no random bytes.
    #[error("no random bytes can be had")]
    Random,
}

/// Signing failed: no random bytes can be had, or the key is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key does not sign")]
pub struct SigningError;

/// A key that verifies. Two are equal if they are the same key, however they were written.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Sm2(sm2::PublicKey),
}

impl PublicKey {
    /// An RSA key of its modulus and public exponent, big-endian; leading zeros do not count.
    ///
    /// # Errors
    /// [`KeyError::Unusable`]: the modulus has not 2,048 to 8,192 bits, or the exponent is none.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = (significant(modulus), significant(exponent));
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |b| b.leading_zeros() as usize);
        let odd = exponent.last().is_some_and(|last| last & 1 == 1);
        if !(2_048..=8_192).contains(&bits) || !odd || exponent.len() > 4 || exponent == [1] {
            return Err(KeyError::Unusable);
        }
        Ok(Self(Kind::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        }))
    }

    /// Reads the DER of a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError::Unusable`]: of another kind, or none at all.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > MAX_KEY_LEN {
            return Err(KeyError::Unusable);
        }
        if let Ok(key) = sm2::PublicKey::from_public_key_der(der) {
            return Ok(Self(Kind::Sm2(key)));
        }
        let key = rsa::PublicKey::from_public_key_der(der).map_err(|_| KeyError::Unusable)?;
        Self::rsa(&key.n_bytes(), &key.e_bytes())
    }

    /// Reads a PEM of a public key (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, document) =
            Document::from_pem(text.trim()).map_err(|_| KeyError::Pem("public key"))?;
        match label {
            "PUBLIC KEY" => Self::from_spki(document.as_bytes()),
            _ => Err(KeyError::Pem("public key")),
        }
    }

    /// The PEM of the key.
    ///
    /// # Errors
    /// [`KeyError::Unusable`]: it cannot be encoded, which no key does.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let pem = match &self.0 {
            Kind::Sm2(key) => key.to_public_key_pem(LineEnding::LF).ok(),
            Kind::Rsa { modulus, exponent } => {
                let bits = (modulus.len() * 8) as u32;
                let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
                number(modulus)
                    .zip(number(exponent))
                    .and_then(|(n, e)| rsa::PublicKey::new(n, e).ok())
                    .and_then(|key| key.to_public_key_pem(LineEnding::LF).ok())
            }
        };
        pem.ok_or(KeyError::Unusable)
    }

    /// Whether `signature` is the key's over `message`. Of another algorithm than the key's it is
    /// not.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&self.0, algorithm) {
            (Kind::Rsa { modulus, exponent }, Algorithm::Rs256) => {
                signature::RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok()
            }
            (Kind::Sm2(key), Algorithm::Sm2256) => {
                let Ok(signature) = Sm2Signature::from_der(signature) else {
                    return false;
                };
                VerifyingKey::new(SM2_USER_ID, *key)
                    .is_ok_and(|key| key.verify(message, &signature).is_ok())
            }
            _ => false,
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Rsa { modulus, .. } => write!(f, "PublicKey(RSA {})", modulus.len() * 8),
            Kind::Sm2(_) => f.write_str("PublicKey(SM2)"),
        }
    }
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A JWK as certificates hold it (RFC 7517): RSA with `n` and `e`; SM2 with `d`, the DER of the
/// public key.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kty")]
enum Jwk {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "SM2")]
    Sm2 { d: String },
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kind::Rsa { modulus, exponent } => Jwk::Rsa {
                n: BASE64URL_NOPAD.encode(modulus),
                e: BASE64URL_NOPAD.encode(exponent),
            },
            Kind::Sm2(key) => {
                let der = key.to_public_key_der().map_err(ser::Error::custom)?;
                Jwk::Sm2 {
                    d: BASE64URL_NOPAD.encode(der.as_bytes()),
                }
            }
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = |text: &str| {
            BASE64URL_NOPAD
                .decode(text.as_bytes())
                .map_err(|_| de::Error::custom("a part of the key is not base64url"))
        };
        match Jwk::deserialize(deserializer)? {
            Jwk::Rsa { n, e } => Self::rsa(&bytes(&n)?, &bytes(&e)?),
            Jwk::Sm2 { d } => Self::from_spki(&bytes(&d)?),
        }
        .map_err(|error| de::Error::custom(format_args!("the key {error}")))
    }
}

/// A key that signs. What it is does not show in its `Debug` form.
pub struct PrivateKey(PrivateKind);

enum PrivateKind {
    Rsa(RsaKeyPair),
    Sm2(Box<SigningKey>),
}

impl PrivateKey {
    /// Reads a PEM: PKCS#8 (`BEGIN PRIVATE KEY`), or an RSA key's PKCS#1 (`BEGIN RSA PRIVATE
    /// KEY`).
    ///
    /// # Errors
    /// [`KeyError`]: of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, document) =
            SecretDocument::from_pem(text.trim()).map_err(|_| KeyError::Pem("private key"))?;
        let der = document.as_bytes();
        match label {
            "PRIVATE KEY" => match sm2::SecretKey::from_pkcs8_der(der) {
                Ok(key) => Self::sm2(&key),
                Err(_) => RsaKeyPair::from_pkcs8(der)
                    .map(|key| Self(PrivateKind::Rsa(key)))
                    .map_err(|_| KeyError::Unusable),
            },
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(der)
                .map(|key| Self(PrivateKind::Rsa(key)))
                .map_err(|_| KeyError::Unusable),
            _ => Err(KeyError::Pem("private key")),
        }
    }

    fn sm2(key: &sm2::SecretKey) -> Result<Self, KeyError> {
        SigningKey::new(SM2_USER_ID, key)
            .map(|key| Self(PrivateKind::Sm2(Box::new(key))))
            .map_err(|_| KeyError::Unusable)
    }

    /// A new key as PKCS#8 PEM; RSA has 2,048 bits.
    ///
    /// # Errors
    /// [`KeyError::Random`]
    pub fn generate_pem(algorithm: Algorithm) -> Result<String, KeyError> {
        let pem = match algorithm {
            Algorithm::Rs256 => rsa::PrivateKey::new(&mut SysRng, 2_048)
                .ok()
                .and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok()),
            Algorithm::Sm2256 => sm2::SecretKey::try_generate()
                .ok()
                .and_then(|key| key.to_pkcs8_pem(LineEnding::LF).ok()),
        };
        pem.map(|text| text.to_string()).ok_or(KeyError::Random)
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            PrivateKind::Rsa(_) => Algorithm::Rs256,
            PrivateKind::Sm2(_) => Algorithm::Sm2256,
        }
    }

    /// The key that verifies what it signs.
    ///
    /// # Errors
    /// [`KeyError::Unusable`]: there is none, which no key that was read has.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        match &self.0 {
            PrivateKind::Rsa(key) => {
                let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                PublicKey::rsa(&parts.n, &parts.e)
            }
            PrivateKind::Sm2(key) => Ok(PublicKey(Kind::Sm2(key.verifying_key().into()))),
        }
    }

    /// A signature over `message`.
    ///
    /// # Errors
    /// [`SigningError`]
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.0 {
            PrivateKind::Rsa(key) => {
                let mut signature = vec![0; key.public_key().modulus_len()];
                let random = rand::SystemRandom::new();
                key.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &random,
                    message,
                    &mut signature,
                )
                .map_err(|_| SigningError)?;
                Ok(signature)
            }
            PrivateKind::Sm2(key) => {
                let signature: Sm2Signature = key.try_sign(message).map_err(|_| SigningError)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.algorithm().name())
    }
}

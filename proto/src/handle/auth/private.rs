//! Private keys of clients: read from PEM and PKCS#8 (RFC 5958), signing.

use std::fmt;

use dsa::pkcs8::DecodePrivateKey;
use dsa::signature::{SignatureEncoding, Signer};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rsa::pkcs1::DecodeRsaPrivateKey;
use sha1::Sha1;
use sha2::Sha256;

use super::der::{self, MAX_ENCODED_KEY_LEN};
use super::public::PublicKey;
use super::{HashName, KeyError, ProofError};

/// A private key.
pub enum PrivateKey {
    /// RSA.
    Rsa(Box<rsa::PrivateKey>),
    /// DSA.
    Dsa(Box<dsa::SigningKey>),
    /// Ed25519.
    Ed25519(Box<Ed25519KeyPair>),
    /// SM2.
    Sm2(Box<sm2::SecretKey>),
}

impl fmt::Debug for PrivateKey {
    /// The kind alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "PrivateKey(RSA)",
            Self::Dsa(_) => "PrivateKey(DSA)",
            Self::Ed25519(_) => "PrivateKey(Ed25519)",
            Self::Sm2(_) => "PrivateKey(SM2)",
        })
    }
}

impl PrivateKey {
    /// Reads a PEM block: "PRIVATE KEY" (PKCS#8) of every kind, "RSA PRIVATE KEY" (PKCS#1), or
    /// "EC PRIVATE KEY" (SEC 1, which OpenSSL calls "SM2 PRIVATE KEY") on the SM2 curve. Errors: [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        // OpenSSL puts the curve's parameters in front of an EC key.
        let text = match text.find("-----END EC PARAMETERS-----") {
            Some(at) => text.get(at + 1..).unwrap_or_default(),
            None => text,
        };
        let (label, bytes) = der::pem(text)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8(&bytes),
            "RSA PRIVATE KEY" => rsa::PrivateKey::from_pkcs1_der(&bytes)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|_| KeyError::Numbers),
            "EC PRIVATE KEY" | "SM2 PRIVATE KEY" => sm2::SecretKey::from_sec1_der(&bytes)
                .map(|key| Self::Sm2(Box::new(key)))
                .map_err(|_| KeyError::Numbers),
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
            _ => Err(KeyError::Kind),
        }
    }

    /// Reads PKCS#8 as DER. Errors: [`KeyError`].
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() > MAX_ENCODED_KEY_LEN {
            return Err(KeyError::Encoding);
        }
        let info =
            dsa::pkcs8::PrivateKeyInfoRef::try_from(bytes).map_err(|_| KeyError::Encoding)?;
        match info.algorithm.oid {
            der::RSA => rsa::PrivateKey::from_pkcs8_der(bytes)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|_| KeyError::Numbers),
            der::DSA => dsa::SigningKey::from_pkcs8_der(bytes)
                .map(|key| Self::Dsa(Box::new(key)))
                .map_err(|_| KeyError::Numbers),
            der::ED25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes)
                .map(|key| Self::Ed25519(Box::new(key)))
                .map_err(|_| KeyError::Numbers),
            der::EC => sm2::SecretKey::from_pkcs8_der(bytes)
                .map(|key| Self::Sm2(Box::new(key)))
                .map_err(|_| KeyError::Kind),
            _ => Err(KeyError::Kind),
        }
    }

    /// The public key to it. Errors: [`KeyError::Numbers`] never for a key that was read.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        Ok(match self {
            Self::Rsa(key) => PublicKey::Rsa(Box::new(key.to_public_key())),
            Self::Dsa(key) => PublicKey::Dsa(Box::new(key.verifying_key().clone())),
            Self::Ed25519(key) => {
                let bytes = key.public_key().as_ref();
                PublicKey::Ed25519(bytes.try_into().map_err(|_| KeyError::Numbers)?)
            }
            Self::Sm2(key) => PublicKey::Sm2(Box::new(key.public_key())),
        })
    }

    /// The digest to sign with, for a server below protocol 2.7 or for any other.
    pub fn hash_for(&self, older: bool) -> HashName {
        match self {
            Self::Rsa(_) | Self::Dsa(_) if older => HashName::Sha1,
            Self::Rsa(_) | Self::Dsa(_) => HashName::Sha256,
            Self::Ed25519(_) => HashName::Ed25519,
            Self::Sm2(_) => HashName::Sm3,
        }
    }

    /// The signature over `message` that [`PublicKey::verify`] accepts.
    /// Errors: [`ProofError::Digest`]; [`ProofError::Key`] when the key cannot sign.
    pub fn sign(
        &self,
        hash: HashName,
        signer: &str,
        message: &[u8],
    ) -> Result<Vec<u8>, ProofError> {
        let bad = ProofError::Key(KeyError::Numbers);
        match (self, hash) {
            (Self::Rsa(key), HashName::Sha1) => key.pkcs1v15_sign::<Sha1>(message).map_err(|_| bad),
            (Self::Rsa(key), HashName::Sha256) => {
                key.pkcs1v15_sign::<Sha256>(message).map_err(|_| bad)
            }
            (Self::Dsa(key), HashName::Sha1) => key
                .sign_prehashed_rfc6979::<Sha1>(&hash.digest(message))
                .map(|signature| signature.to_vec())
                .map_err(|_| bad),
            (Self::Dsa(key), HashName::Sha256) => key
                .sign_prehashed_rfc6979::<Sha256>(&hash.digest(message))
                .map(|signature| signature.to_vec())
                .map_err(|_| bad),
            (Self::Ed25519(key), HashName::Ed25519) => Ok(key.sign(message).as_ref().to_vec()),
            (Self::Sm2(key), HashName::Sm3) => sign_sm2(key, signer, &hash.digest(message)),
            _ => Err(ProofError::Digest),
        }
    }
}

/// SM2's signature over `message` with `signer` as the user's id: DER of r and s.
/// Errors: [`ProofError::Key`] when the key cannot sign.
pub fn sign_sm2(key: &sm2::SecretKey, signer: &str, message: &[u8]) -> Result<Vec<u8>, ProofError> {
    sm2::dsa::SigningKey::new(signer, key)
        .and_then(|key| key.try_sign(message))
        .map(|signature: sm2::dsa::Signature| signature.to_der().as_bytes().to_vec())
        .map_err(|_| ProofError::Key(KeyError::Numbers))
}

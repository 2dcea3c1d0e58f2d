//! Public keys: HS_PUBKEY data and signatures.
//!
//! | encoding of HS_PUBKEY data | read | written for |
//! |---|---|---|
//! | `str` RSA_PUB_KEY, u16, `str` exponent, `str` modulus | yes | RSA, with four zero octets behind it as others write it |
//! | `str` DSA_PUB_KEY, u16, `str` q, `str` p, `str` g, `str` y | yes | DSA |
//! | `str` SM2_PUB_KEY, u16, `str` SubjectPublicKeyInfo as DER | yes | SM2 |
//! | `str` SM2_PUB_KEY, u16, `str` SubjectPublicKeyInfo as PEM | yes | – |
//! | SubjectPublicKeyInfo as PEM | yes, of every kind | Ed25519, which has no other |

use dsa::BoxedUint;
use dsa::pkcs8::der::asn1::{AnyRef, UintRef};
use dsa::pkcs8::der::{Decode, Encode};
use dsa::signature::Verifier;
use dsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::Sha256;
use sm2::elliptic_curve::sec1::ToSec1Point;

use super::der::{self, MAX_ENCODED_KEY_LEN};
use super::{HashName, KeyError, ProofError};
use crate::handle::wire::{Reader, put_sized};

const RSA_TYPE: &str = "RSA_PUB_KEY";
const DSA_TYPE: &str = "DSA_PUB_KEY";
const SM2_TYPE: &str = "SM2_PUB_KEY";
const PEM_LABEL: &str = "PUBLIC KEY";

/// The longest number of a key, bytes.
const MAX_NUMBER_LEN: usize = 1100;
/// The shortest RSA modulus, bits.
const MIN_RSA_BITS: usize = 1024;
/// The longest RSA modulus, bits: a verification takes about a millisecond.
const MAX_RSA_BITS: usize = 8192;
/// The longest DSA modulus, bits.
const MAX_DSA_BITS: u32 = 3072;

/// A public key.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicKey {
    /// RSA, 1,024 to 8,192 bits, signing with PKCS#1 v1.5.
    Rsa(Box<rsa::PublicKey>),
    /// DSA of one of the standard sizes, for keys of old.
    Dsa(Box<dsa::VerifyingKey>),
    /// Ed25519 (RFC 8032).
    Ed25519([u8; 32]),
    /// SM2 (GM/T 0003).
    Sm2(Box<sm2::PublicKey>),
}

impl PublicKey {
    /// Reads HS_PUBKEY data in any of its encodings. Bytes behind it are left alone.
    /// Errors: [`KeyError`].
    pub fn decode(data: &[u8]) -> Result<Self, KeyError> {
        if data.len() > MAX_ENCODED_KEY_LEN {
            return Err(KeyError::Encoding);
        }
        // A key's type is shorter than its length field could say with a first octet above 0.
        if data.first() != Some(&0) {
            let text = std::str::from_utf8(data).map_err(|_| KeyError::Encoding)?;
            return Self::from_pem(text);
        }
        let bad = |_| KeyError::Encoding;
        let mut reader = Reader::new(data);
        let kind = reader.str("key type", 256).map_err(bad)?;
        reader.u16("key flags").map_err(bad)?;
        let mut part = |limit| reader.sized("key", limit).map_err(bad);
        match kind {
            RSA_TYPE => {
                let exponent = part(MAX_NUMBER_LEN)?;
                Self::rsa(part(MAX_NUMBER_LEN)?, exponent)
            }
            DSA_TYPE => {
                let numbers = [
                    part(MAX_NUMBER_LEN)?,
                    part(MAX_NUMBER_LEN)?,
                    part(MAX_NUMBER_LEN)?,
                    part(MAX_NUMBER_LEN)?,
                ];
                Self::dsa(numbers)
            }
            SM2_TYPE => {
                let inner = part(MAX_ENCODED_KEY_LEN)?;
                match std::str::from_utf8(inner) {
                    Ok(text) if text.contains("-----BEGIN ") => Self::from_pem(text),
                    _ => Self::from_spki(inner),
                }
            }
            _ => Err(KeyError::Kind),
        }
    }

    /// HS_PUBKEY data, in the encoding that clients read. Errors: [`KeyError::Numbers`] never
    /// for a key that was read.
    pub fn encode(&self) -> Result<Vec<u8>, KeyError> {
        let mut out = Vec::new();
        match self {
            Self::Rsa(key) => {
                put_kind(&mut out, RSA_TYPE);
                put_sized(&mut out, &signed(&key.e().to_be_bytes()));
                put_sized(&mut out, &signed(&key.n().to_be_bytes()));
                out.extend_from_slice(&[0; 4]);
            }
            Self::Dsa(key) => {
                put_kind(&mut out, DSA_TYPE);
                let shared = key.components();
                put_sized(&mut out, &signed(&shared.q().to_be_bytes()));
                put_sized(&mut out, &signed(&shared.p().to_be_bytes()));
                put_sized(&mut out, &signed(&shared.g().to_be_bytes()));
                put_sized(&mut out, &signed(&key.y().to_be_bytes()));
            }
            Self::Ed25519(_) => out = self.to_pem()?.into_bytes(),
            Self::Sm2(_) => {
                put_kind(&mut out, SM2_TYPE);
                put_sized(&mut out, &self.to_spki()?);
            }
        }
        Ok(out)
    }

    /// Reads a PEM block with a SubjectPublicKeyInfo. Errors: [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        match der::pem(text)? {
            (PEM_LABEL, bytes) => Self::from_spki(&bytes),
            _ => Err(KeyError::Kind),
        }
    }

    /// The same as PEM. Errors as [`PublicKey::to_spki`].
    pub fn to_pem(&self) -> Result<String, KeyError> {
        Ok(der::to_pem(PEM_LABEL, &self.to_spki()?))
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 §4.1). Errors: [`KeyError`].
    pub fn from_spki(bytes: &[u8]) -> Result<Self, KeyError> {
        let info = der::spki(bytes)?;
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Encoding)?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            der::RSA => {
                let key =
                    rsa::pkcs1::RsaPublicKeyRef::from_der(key).map_err(|_| KeyError::Encoding)?;
                Self::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
            }
            der::DSA => {
                let [p, q, g] = dsa_parameters(parameters.ok_or(KeyError::Encoding)?)?;
                let y = UintRef::from_der(key).map_err(|_| KeyError::Encoding)?;
                Self::dsa([q, p, g, y.as_bytes()])
            }
            der::ED25519 => {
                let key = <[u8; 32]>::try_from(key).map_err(|_| KeyError::Numbers)?;
                Ok(Self::Ed25519(key))
            }
            der::EC => {
                let curve = parameters.ok_or(KeyError::Encoding)?;
                if curve.decode_as() != Ok(der::SM2) {
                    return Err(KeyError::Kind);
                }
                let key = sm2::PublicKey::from_sec1_bytes(key).map_err(|_| KeyError::Numbers)?;
                Ok(Self::Sm2(Box::new(key)))
            }
            _ => Err(KeyError::Kind),
        }
    }

    /// The SubjectPublicKeyInfo. Errors: [`KeyError::Numbers`] never for a key that was read.
    pub fn to_spki(&self) -> Result<Vec<u8>, KeyError> {
        use dsa::pkcs8::EncodePublicKey;
        let document = match self {
            Self::Rsa(key) => key.to_public_key_der(),
            Self::Dsa(key) => key.to_public_key_der(),
            Self::Ed25519(key) => return der::to_spki(der::ED25519, None, key),
            Self::Sm2(key) => {
                let curve = der::SM2.to_der().map_err(|_| KeyError::Numbers)?;
                let point = key.to_sec1_point(false);
                return der::to_spki(der::EC, Some(&curve), point.as_bytes());
            }
        };
        let document = document.map_err(|_| KeyError::Numbers)?;
        Ok(document.as_bytes().to_vec())
    }

    /// An RSA key of these numbers, big-endian. Errors: [`KeyError::Numbers`].
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (number(modulus)?, number(exponent)?);
        rsa::PublicKey::new_with_size_limits(n, e, MIN_RSA_BITS..=MAX_RSA_BITS)
            .map(|key| Self::Rsa(Box::new(key)))
            .map_err(|_| KeyError::Numbers)
    }

    /// `numbers`: q, p, g, y. Nothing public says the order of the first two, but q is always
    /// the shorter.
    fn dsa(numbers: [&[u8]; 4]) -> Result<Self, KeyError> {
        let [mut q, mut p, g, y] = numbers.map(unsigned);
        if q.len() > p.len() {
            std::mem::swap(&mut q, &mut p);
        }
        let bits = |bytes: &[u8]| u32::try_from(bytes.len() * 8).map_err(|_| KeyError::Numbers);
        let (p_bits, q_bits) = (bits(p)?, bits(q)?);
        if p_bits > MAX_DSA_BITS {
            return Err(KeyError::Numbers);
        }
        let of = |bytes: &[u8], precision| {
            BoxedUint::from_be_slice(bytes, precision).map_err(|_| KeyError::Numbers)
        };
        let (p, q, g, y) = (
            of(p, p_bits)?,
            of(q, q_bits)?,
            of(g, p_bits)?,
            of(y, p_bits)?,
        );
        if y >= p {
            return Err(KeyError::Numbers);
        }
        let bad = |_| KeyError::Numbers;
        let components = dsa::Components::from_components(p, q, g).map_err(bad)?;
        let key = dsa::VerifyingKey::from_components(components, y).map_err(bad)?;
        Ok(Self::Dsa(Box::new(key)))
    }

    /// Whether `signature` is this key's over `message`, digested by `hash`.
    ///
    /// SM2 signs the 32 octets of SM3(`message`), which it digests once more by itself with
    /// `signer`, the handle of the user without an index.
    ///
    /// Errors: [`ProofError::Wrong`], [`ProofError::Malformed`], [`ProofError::Digest`].
    pub fn verify(
        &self,
        hash: HashName,
        signer: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), ProofError> {
        match (self, hash) {
            (Self::Rsa(key), HashName::Sha1) => key
                .pkcs1v15_verify::<Sha1>(message, signature)
                .map_err(|_| ProofError::Wrong),
            (Self::Rsa(key), HashName::Sha256) => key
                .pkcs1v15_verify::<Sha256>(message, signature)
                .map_err(|_| ProofError::Wrong),
            (Self::Dsa(key), HashName::Sha1 | HashName::Sha256) => {
                let signature = dsa_signature(signature)?;
                key.verify_prehash(&hash.digest(message), &signature)
                    .map_err(|_| ProofError::Wrong)
            }
            (Self::Ed25519(key), HashName::Ed25519) => {
                ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
                    .verify(message, signature)
                    .map_err(|_| ProofError::Wrong)
            }
            (Self::Sm2(key), HashName::Sm3) => {
                verify_sm2(key, signer, &hash.digest(message), signature)
            }
            _ => Err(ProofError::Digest),
        }
    }
}

/// Whether `signature`, DER of r and s, is SM2's over `message` with `signer` as the user's id.
/// Errors: [`ProofError::Wrong`], [`ProofError::Malformed`].
pub fn verify_sm2(
    key: &sm2::PublicKey,
    signer: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), ProofError> {
    let signature = sm2::dsa::Signature::from_der(signature).map_err(|_| ProofError::Malformed)?;
    sm2::dsa::VerifyingKey::new(signer, *key)
        .and_then(|key| key.verify(message, &signature))
        .map_err(|_| ProofError::Wrong)
}

fn dsa_signature(bytes: &[u8]) -> Result<dsa::Signature, ProofError> {
    // Two numbers of 256 bits and their wrapping.
    if bytes.len() > 80 {
        return Err(ProofError::Malformed);
    }
    dsa::Signature::try_from(bytes).map_err(|_| ProofError::Malformed)
}

/// p, q and g of DSA parameters (RFC 3279 §2.3.2).
fn dsa_parameters(parameters: AnyRef<'_>) -> Result<[&[u8]; 3], KeyError> {
    parameters
        .sequence(|reader| {
            let mut number = || UintRef::decode(reader).map(|number| number.as_bytes());
            Ok::<_, dsa::pkcs8::der::Error>([number()?, number()?, number()?])
        })
        .map_err(|_| KeyError::Encoding)
}

fn put_kind(out: &mut Vec<u8>, kind: &str) {
    put_sized(out, kind.as_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// A number without leading zero octets.
pub(crate) fn unsigned(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// A number with a leading zero octet where a peer that counts in signed integers needs one.
fn signed(bytes: &[u8]) -> Vec<u8> {
    let bytes = unsigned(bytes);
    let mut out = Vec::with_capacity(1 + bytes.len());
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        out.push(0);
    }
    out.extend_from_slice(bytes);
    out
}

fn number(bytes: &[u8]) -> Result<BoxedUint, KeyError> {
    let bytes = unsigned(bytes);
    if bytes.is_empty() || bytes.len() > MAX_NUMBER_LEN {
        return Err(KeyError::Numbers);
    }
    Ok(BoxedUint::from_be_slice_vartime(bytes))
}

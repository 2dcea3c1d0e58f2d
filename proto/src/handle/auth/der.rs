//! PEM armour and the wrapping of public keys, as far as keys need it.

use data_encoding::BASE64;
use dsa::pkcs8::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use dsa::pkcs8::der::{Decode, Encode};
use dsa::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::KeyError;

/// The longest text or encoding of a key that is read, bytes.
pub(super) const MAX_ENCODED_KEY_LEN: usize = 65_536;

/// rsaEncryption (RFC 8017 §A.1).
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-dsa (RFC 3279 §2.3.2).
pub(super) const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// The SM2 curve (GM/T 0006).
pub(super) const SM2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");
/// id-Ed25519 (RFC 8410 §3).
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The label and the bytes of the first PEM block (RFC 7468), with any line ends.
/// Errors: [`KeyError::Encoding`].
pub(super) fn pem(text: &str) -> Result<(&str, Vec<u8>), KeyError> {
    const BEGIN: &str = "-----BEGIN ";
    const DASHES: &str = "-----";
    if text.len() > MAX_ENCODED_KEY_LEN {
        return Err(KeyError::Encoding);
    }
    let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::Encoding)?;
    let (label, rest) = rest.split_once(DASHES).ok_or(KeyError::Encoding)?;
    let (base64, _) = rest.split_once("-----END ").ok_or(KeyError::Encoding)?;
    let digits: Vec<u8> = base64
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bytes = BASE64.decode(&digits).map_err(|_| KeyError::Encoding)?;
    Ok((label, bytes))
}

/// `bytes` as a PEM block, lines ended as the id-pointer-sdk ends them.
pub(super) fn to_pem(label: &str, bytes: &[u8]) -> String {
    let base64 = BASE64.encode(bytes);
    let mut text = format!("-----BEGIN {label}-----\r\n");
    let mut rest = base64.as_str();
    while let Some((line, more)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push_str("\r\n");
        rest = more;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push_str("\r\n");
    }
    text.push_str(&format!("-----END {label}-----\r\n"));
    text
}

/// A SubjectPublicKeyInfo (RFC 5280 §4.1) with its parts. Errors: [`KeyError::Encoding`].
pub(super) fn spki(der: &[u8]) -> Result<SubjectPublicKeyInfoRef<'_>, KeyError> {
    if der.len() > MAX_ENCODED_KEY_LEN {
        return Err(KeyError::Encoding);
    }
    SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Encoding)
}

/// The encoding of a SubjectPublicKeyInfo. Errors: [`KeyError::Numbers`] for what no encoding
/// holds.
pub(super) fn to_spki(
    oid: ObjectIdentifier,
    parameters: Option<&[u8]>,
    key: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let bad = |_| KeyError::Numbers;
    let parameters = parameters.map(AnyRef::from_der).transpose().map_err(bad)?;
    let subject_public_key = BitStringRef::from_bytes(key).map_err(bad)?;
    SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key,
    }
    .to_der()
    .map_err(bad)
}

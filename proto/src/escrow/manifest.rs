//! The manifest: the deposit's head and the names, sizes and digests of its parts, signed.
//!
//! Two lines: a JSON object, and `SM2-SM3 ` with the base64 of the DER signature over the first
//! line's bytes without its end, made with the user id `1234567812345678` (GM/T 0009 §10).

use super::EscrowError;
use super::compress::Compression;
use super::deposit::Head;
use super::part::MAX_PARTS;
use crate::trust::key::{SM2256, sign};
use crate::trust::{PrivateKey, TrustKey};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// The file name of a deposit's manifest.
pub const MANIFEST_NAME: &str = "manifest";
/// The file in which a receiver says what it has found of a deposit, beside its manifest.
pub const RECEIPT_NAME: &str = "receipt";
/// Longest receipt that is read, bytes.
pub const MAX_RECEIPT_BYTES: u64 = 64 << 10;
/// Longest manifest, bytes.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;
const FORMAT: u32 = 1;
const SIGNATURE: &str = "SM2-SM3 ";

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format's version, 1.
    format: u32,
    /// What the deposit is.
    pub deposit: Head,
    /// How its document is compressed.
    pub compression: Compression,
    /// The receiver's key: SM3 of its SubjectPublicKeyInfo, in hexadecimal.
    pub receiver: String,
    /// Its parts, in order.
    pub parts: Vec<PartEntry>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// Its number, from 1 on: its name is [`super::part::part_name`] of it.
    pub number: u32,
    /// Its length.
    pub bytes: u64,
    /// Its SM3 digest, in hexadecimal.
    pub sm3: String,
}

impl Manifest {
    /// Of a deposit's parts.
    pub fn new(
        deposit: Head,
        compression: Compression,
        receiver: String,
        parts: Vec<PartEntry>,
    ) -> Self {
        Self {
            format: FORMAT,
            deposit,
            compression,
            receiver,
            parts,
        }
    }

    /// The parts' lengths together, bytes.
    pub fn bytes(&self) -> u64 {
        let lengths = self.parts.iter().map(|part| part.bytes);
        lengths.fold(0, u64::saturating_add)
    }

    /// The manifest's file.
    ///
    /// # Errors
    /// The key is no SM2 key.
    pub fn sign(&self, signer: &PrivateKey) -> Result<String, EscrowError> {
        let failed = |reason: String| EscrowError::Manifest(format!("cannot be signed: {reason}"));
        if !matches!(signer, PrivateKey::Sm2(_)) {
            return Err(failed("the key is no SM2 key".to_owned()));
        }
        let line = serde_json::to_string(self).map_err(|error| failed(error.to_string()))?;
        let signature = sign(signer, line.as_bytes()).map_err(|error| failed(error.to_string()))?;
        Ok(format!(
            "{line}\n{SIGNATURE}{}\n",
            BASE64.encode(&signature)
        ))
    }

    /// Reads a manifest's file and checks that it is this signer's and agrees with itself.
    ///
    /// # Errors
    /// [`EscrowError::Manifest`]
    pub fn verify(file: &[u8], signer: &TrustKey) -> Result<Self, EscrowError> {
        let (manifest, line, signature) = Self::parse(file)?;
        if !signer.verifies(SM2256, line, &signature) {
            let reason = "has a signature that is not its signer's over it";
            return Err(EscrowError::Manifest(reason.to_owned()));
        }
        Ok(manifest)
    }

    /// Reads a manifest's file without asking whose it is.
    ///
    /// # Errors
    /// [`EscrowError::Manifest`]
    pub fn unverified(file: &[u8]) -> Result<Self, EscrowError> {
        Ok(Self::parse(file)?.0)
    }

    fn parse(file: &[u8]) -> Result<(Self, &[u8], Vec<u8>), EscrowError> {
        let wrong = |reason: &str| EscrowError::Manifest(reason.to_owned());
        if file.len() > MAX_MANIFEST_BYTES {
            return Err(wrong("is longer than is read"));
        }
        let mut lines = file.split(|byte| *byte == b'\n');
        let (Some(line), Some(signature), Some(b""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(wrong("is not of two lines"));
        };
        let signature = signature
            .strip_prefix(SIGNATURE.as_bytes())
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or_else(|| wrong("has no SM2-SM3 signature in its second line"))?;
        let manifest: Self = serde_json::from_slice(line)
            .map_err(|error| wrong(&format!("is not what a manifest is: {error}")))?;
        manifest.check()?;
        Ok((manifest, line, signature))
    }

    fn check(&self) -> Result<(), EscrowError> {
        let wrong = |reason: String| Err(EscrowError::Manifest(reason));
        if self.format != FORMAT {
            return wrong(format!("is of format {}, which is not read", self.format));
        }
        if let Err(reason) = self.deposit.check() {
            return wrong(reason);
        }
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS as usize {
            return wrong(format!("names {} parts", self.parts.len()));
        }
        let numbered = self
            .parts
            .iter()
            .map(|part| part.number)
            .eq(1..=self.parts.len() as u32);
        if !numbered {
            return wrong("names parts that are not numbered from 1 on".to_owned());
        }
        let mut lengths = self.parts.iter().map(|part| part.bytes);
        if lengths.try_fold(0, u64::checked_add).is_none() {
            return wrong("names parts that are longer than any file together".to_owned());
        }
        Ok(())
    }
}

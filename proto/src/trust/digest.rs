//! Digests over values: what a signature vouches for.
//!
//! A digest covers a value's encoding without its first eight bytes, index and timestamp. The time
//! to live and the permissions are signed.

use std::collections::HashSet;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

use crate::value::{MAX_VALUES, ValueRef};

/// Most digests of a signature: as many as a handle has values.
pub const MAX_DIGESTS: usize = MAX_VALUES;

/// The digests of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// By which hash.
    pub alg: DigestAlgorithm,
    /// One for each value that is signed.
    pub digests: Vec<ValueDigest>,
}

/// The hash of digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// SHA-256, what signatures are made with here and read everywhere.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// SM3, which the draft names beside SM2 (§4.4).
    #[serde(rename = "SM3")]
    Sm3,
}

/// The digest of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueDigest {
    /// Which value.
    pub index: u32,
    /// The digest, 32 bytes; in JSON base64 with padding.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub digest: [u8; 32],
}

impl DigestAlgorithm {
    /// The digest of a value.
    pub fn of_value(self, value: &ValueRef<'_>) -> [u8; 32] {
        match self {
            Self::Sha256 => sha2::Sha256::digest(value.signed_part()).into(),
            Self::Sm3 => sm3::Sm3::digest(value.signed_part()).into(),
        }
    }
}

impl Digests {
    /// The digests of values.
    pub fn of<'a>(alg: DigestAlgorithm, values: impl IntoIterator<Item = ValueRef<'a>>) -> Self {
        let digests = values.into_iter().map(|value| ValueDigest {
            index: value.index(),
            digest: alg.of_value(&value),
        });
        Self {
            alg,
            digests: digests.collect(),
        }
    }

    /// An index that more than one digest is of.
    pub(super) fn repeated(&self) -> Option<u32> {
        let mut seen = HashSet::with_capacity(self.digests.len());
        let mut indexes = self.digests.iter().map(|one| one.index);
        indexes.find(|index| !seen.insert(*index))
    }
}

fn write<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(digest))
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| de::Error::custom("a digest is not base64 of 32 bytes"))
}

//! The column families and every key in them: the one place that knows what is stored where.
//!
//! | family | key | value |
//! |---|---|---|
//! | identifiers | identifier key (scheme, head, 0, tail) | [`crate::record::Record`] |
//! | hashed_names | 20-byte hash in a DNS name | key of the identifier (it has a 0) or of the prefix (it has none) |
//! | prefixes | prefix key | [`crate::prefix::PrefixRecord`] |
//! | prefixes_by_enterprise | enterprise u64, prefix key | empty |
//! | enterprises | enterprise u64 | [`crate::enterprise::Enterprise`] |
//! | enterprises_by_certificate | type u8, code | enterprise u64 |
//! | templates | name | [`crate::template::Template`] |
//! | credentials | credential id | [`crate::credential::Credential`] |
//! | credentials_by_enterprise | enterprise u64, credential id | empty |
//! | credentials_by_administrator | index u32, identifier key | id of the live credential |
//! | idempotency | caller, 0, key; caller, 1, import id | [`crate::write::idempotency::Remembered`] |
//! | statistics | prefix key, or empty for the node | [`crate::read::Counters`] |
//! | statistics | 0xfe, prefix key | [`crate::read::Counters`]: what former registrations of the prefix have created and deleted |
//! | statistics | 0xff, enterprise u64, of those with a quota | [`crate::quota::Usage`] |
//! | log | sequence u64 | [`crate::change::LogEntry`], records that are in `identifiers` or `superseded` left out |
//! | superseded | sequence u64 of the entry that wrote it, identifier key | the record that a later entry has replaced, until that one is trimmed |
//! | upward | topic u8, the topic's key | what [`crate::upward`] has told others, or owes them |
//! | meta | name | format version |
//!
//! Integers in keys are big-endian, so that byte order is numeric order. Every value begins
//! with a format version byte.

use crate::enterprise::EnterpriseId;
use crate::{Error, Result};
use bytes::Bytes;

/// The format version every stored value begins with.
pub const VALUE_VERSION: u8 = 1;

/// The version of the layout as a whole, under [`META_LAYOUT`].
pub const LAYOUT_VERSION: u8 = 1;

/// Key in [`Family::Meta`]: the layout's version.
pub const META_LAYOUT: &[u8] = b"layout";

/// A column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Family {
    /// Identifier records.
    Identifiers,
    /// DNS names that are hashes.
    HashedNames,
    /// Prefixes.
    Prefixes,
    /// Index: prefixes of an enterprise.
    PrefixesByEnterprise,
    /// Enterprises.
    Enterprises,
    /// Index: enterprises by certificate.
    EnterprisesByCertificate,
    /// Attribute templates.
    Templates,
    /// Credentials.
    Credentials,
    /// Index: credentials of an enterprise.
    CredentialsByEnterprise,
    /// Index: live credentials by the administrator they are for.
    CredentialsByAdministrator,
    /// Receipts by idempotency key.
    Idempotency,
    /// Counters.
    Statistics,
    /// The change log of an embedded registry.
    Log,
    /// Identifier records that log entries tell of and that later ones have replaced.
    Superseded,
    /// What the node has told those above it.
    Upward,
    /// The store's own facts.
    Meta,
}

impl Family {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 16] = [
        Self::Identifiers,
        Self::HashedNames,
        Self::Prefixes,
        Self::PrefixesByEnterprise,
        Self::Enterprises,
        Self::EnterprisesByCertificate,
        Self::Templates,
        Self::Credentials,
        Self::CredentialsByEnterprise,
        Self::CredentialsByAdministrator,
        Self::Idempotency,
        Self::Statistics,
        Self::Log,
        Self::Superseded,
        Self::Upward,
        Self::Meta,
    ];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identifiers => "identifiers",
            Self::HashedNames => "hashed_names",
            Self::Prefixes => "prefixes",
            Self::PrefixesByEnterprise => "prefixes_by_enterprise",
            Self::Enterprises => "enterprises",
            Self::EnterprisesByCertificate => "enterprises_by_certificate",
            Self::Templates => "templates",
            Self::Credentials => "credentials",
            Self::CredentialsByEnterprise => "credentials_by_enterprise",
            Self::CredentialsByAdministrator => "credentials_by_administrator",
            Self::Idempotency => "idempotency",
            Self::Statistics => "statistics",
            Self::Log => "log",
            Self::Superseded => "superseded",
            Self::Upward => "upward",
            Self::Meta => "meta",
        }
    }
}

/// The key of `first` followed by `rest`, for the index families.
pub fn index_key(first: u64, rest: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(8 + rest.len());
    key.extend_from_slice(&first.to_be_bytes());
    key.extend_from_slice(rest);
    key.into()
}

/// Where it is counted what an enterprise uses of its quota: beyond every prefix's key, which
/// begins with its scheme.
pub fn usage_key(enterprise: EnterpriseId) -> Bytes {
    let mut key = vec![u8::MAX];
    key.extend_from_slice(&enterprise.0.to_be_bytes());
    key.into()
}

/// Where it is kept what former registrations of a prefix have counted, for those who go on
/// counting: beyond every prefix's key, too.
pub fn former_key(prefix: &[u8]) -> Bytes {
    [&[u8::MAX - 1], prefix].concat().into()
}

/// A big-endian u64 key.
pub fn number_key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Reads what [`number_key`] wrote.
pub fn parse_number(key: &[u8]) -> Result<u64> {
    key.first_chunk::<8>()
        .map(|bytes| u64::from_be_bytes(*bytes))
        .ok_or_else(|| Error::Storage(format!("a number key of {} bytes", key.len())))
}

/// The end of the half-open range of keys that begin with `start`; `None`: no end.
pub fn prefix_end(start: &[u8]) -> Option<Vec<u8>> {
    let mut end = start.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Encodes a stored message with its version byte.
pub fn encode_value<M: prost::Message>(message: &M) -> Bytes {
    let mut out = Vec::with_capacity(1 + message.encoded_len());
    out.push(VALUE_VERSION);
    message.encode_raw(&mut out);
    out.into()
}

/// Decodes what [`encode_value`] wrote. Errors: an unknown version, a damaged value.
pub fn decode_value<M: prost::Message + Default>(stored: &[u8]) -> Result<M> {
    match stored.split_first() {
        Some((&VALUE_VERSION, body)) => M::decode(body).map_err(|e| Error::Storage(e.to_string())),
        Some((version, _)) => Err(Error::Storage(format!(
            "a value of unknown version {version}"
        ))),
        None => Err(Error::Storage("an empty value".into())),
    }
}

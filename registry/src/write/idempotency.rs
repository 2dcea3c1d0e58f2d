//! Idempotency keys: a write that is sent twice happens once.

use super::txn::Txn;
use super::{ImportStatus, ItemResult, Receipt};
use crate::layout::Family;
use crate::permission::Caller;
use crate::{Error, Result};
use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

/// Longest idempotency key, bytes.
pub const MAX_KEY_BYTES: usize = 128;

/// A client's key and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// XXH3-128 over the request without its key: a key is good for one request only. It
    /// catches a client's mistake; a client that forges one harms nobody else.
    pub fingerprint: [u8; 16],
}

impl Idempotency {
    /// A key for a request of a kind (the method's name) and with a content (its encoding
    /// without the key); `None` for an empty key, which means none.
    pub fn of_request(key: String, kind: &str, content: &[u8]) -> Option<Self> {
        Self::of_pieces(key, kind, std::iter::once(content))
    }

    /// The same for a content in pieces, of which the order and the cuts count.
    pub fn of_pieces<'a>(
        key: String,
        kind: &str,
        content: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        let mut digest = Xxh3::new();
        digest.update(&(kind.len() as u64).to_be_bytes());
        digest.update(kind.as_bytes());
        for piece in content {
            digest.update(&(piece.len() as u64).to_be_bytes());
            digest.update(piece);
        }
        Some(Self {
            key,
            fingerprint: digest.digest128().to_be_bytes(),
        })
    }
}

/// What is kept of a write under its idempotency key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Remembered {
    /// See [`Idempotency::fingerprint`].
    #[prost(bytes = "bytes", tag = "1")]
    pub fingerprint: Bytes,
    /// The receipt's sequence.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// The receipt's time, milliseconds since the Unix epoch.
    #[prost(uint64, tag = "3")]
    pub committed_at_ms: u64,
    /// The name of what was created, where the node chose it.
    #[prost(string, tag = "4")]
    pub subject: String,
    /// An import chunk: how many items it had.
    #[prost(uint32, tag = "5")]
    pub items: u32,
    /// An import chunk: the status of each item, a byte each.
    #[prost(bytes = "bytes", tag = "6")]
    pub statuses: Bytes,
    /// An import chunk: why items were rejected.
    #[prost(message, repeated, tag = "7")]
    pub rejections: Vec<Rejection>,
}

/// Why an item of an import was rejected.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Rejection {
    /// Its place in the chunk.
    #[prost(uint32, tag = "1")]
    pub position: u32,
    /// See [`crate::Error::reason`].
    #[prost(string, tag = "2")]
    pub reason: String,
    /// The offending part.
    #[prost(string, tag = "3")]
    pub field: String,
    /// For people.
    #[prost(string, tag = "4")]
    pub message: String,
    /// See [`crate::Error::code`].
    #[prost(int32, tag = "5")]
    pub code: i32,
}

/// Where a caller's key is kept.
pub(crate) fn storage_key(caller: &Caller, key: &str) -> Bytes {
    owned_key(caller, 0, key)
}

/// Where the highest committed chunk of a caller's import is kept: apart from the keys, which
/// clients choose.
pub(crate) fn progress_key(caller: &Caller, import_id: &str) -> Bytes {
    owned_key(caller, 1, import_id)
}

fn owned_key(caller: &Caller, space: u8, key: &str) -> Bytes {
    let owner = match caller {
        Caller::Enterprise { id, .. } => id.to_string(),
        Caller::Administrator(administrator) => administrator.fingerprint(),
        Caller::Operator { .. } | Caller::Stranger => "operator".to_owned(),
    };
    [owner.as_bytes(), &[space], key.as_bytes()].concat().into()
}

/// The first call's record, if the key was used for the same request within `retention_ms`.
/// Errors: it was used for another one.
pub(crate) fn recall(
    txn: &Txn<'_>,
    caller: &Caller,
    idempotency: &Idempotency,
    retention_ms: u64,
) -> Result<Option<Remembered>> {
    if idempotency.key.len() > MAX_KEY_BYTES {
        let reason = format!(
            "is {} bytes, at most {MAX_KEY_BYTES} are taken",
            idempotency.key.len()
        );
        return Err(Error::invalid("idempotency_key", reason));
    }
    let stored: Option<Remembered> =
        txn.get_message(Family::Idempotency, &storage_key(caller, &idempotency.key))?;
    match stored {
        Some(first) if first.committed_at_ms.saturating_add(retention_ms) <= txn.now_ms() => {
            Ok(None)
        }
        Some(first) if first.fingerprint != idempotency.fingerprint[..] => {
            Err(Error::IdempotencyKeyReused(idempotency.key.clone()))
        }
        first => Ok(first),
    }
}

/// Keeps a receipt under its key.
pub(crate) fn remember(
    txn: &mut Txn<'_>,
    caller: &Caller,
    idempotency: &Idempotency,
    receipt: &Receipt,
) {
    let (subject, results) = receipt.outcome.remembered();
    let remembered = Remembered {
        fingerprint: Bytes::copy_from_slice(&idempotency.fingerprint),
        sequence: receipt.sequence,
        committed_at_ms: receipt.committed_at_ms,
        subject,
        items: results.len() as u32,
        statuses: results.iter().map(|result| result.status as u8).collect(),
        rejections: rejections(results),
    };
    txn.put_message(
        Family::Idempotency,
        storage_key(caller, &idempotency.key),
        &remembered,
    );
}

fn rejections(results: &[ItemResult]) -> Vec<Rejection> {
    let rejected = results
        .iter()
        .zip(0_u32..)
        .filter_map(|(result, position)| Some((position, result.error.as_ref()?)));
    rejected
        .map(|(position, error)| Rejection {
            position,
            code: error.code,
            reason: error.reason.clone(),
            field: error.field.clone(),
            message: error.message.clone(),
        })
        .collect()
}

impl Remembered {
    /// An import chunk's results as the first call had them.
    pub(crate) fn results(&self) -> Vec<ItemResult> {
        let mut results: Vec<ItemResult> = self
            .statuses
            .iter()
            .map(|status| ItemResult {
                status: ImportStatus::from_byte(*status),
                error: None,
            })
            .collect();
        for rejection in &self.rejections {
            if let Some(result) = results.get_mut(rejection.position as usize) {
                result.error = Some(super::ItemError {
                    code: rejection.code,
                    reason: rejection.reason.clone(),
                    field: rejection.field.clone(),
                    message: rejection.message.clone(),
                });
            }
        }
        results
    }
}

//! Signing and verifying (RFC 8945 §5).

use super::super::raw;
use super::FUDGE_S;
use super::key::Key;
use super::record::{Signature, Unwritten, add_additional};
use std::sync::Arc;

/// Why a signature was refused, as TSIG records tell (RFC 8945 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(clippy::enum_variant_names, reason = "the names of RFC 8945")]
pub(in super::super) enum Error {
    BadSignature = 16,
    BadKey = 17,
    BadTime = 18,
}

/// Signs the messages of one answer, or one query.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Signer {
    key: Arc<Key>,
    /// MAC of the message before, the query's at first; `None`: there is none.
    before: Option<Vec<u8>>,
    /// Messages signed.
    signed: u64,
}

impl Signer {
    /// For the answer to a query with this signature.
    pub(super) fn answering(key: Arc<Key>, query: &Signature<'_>) -> Self {
        Self {
            key,
            before: Some(query.mac.to_vec()),
            signed: 0,
        }
    }

    /// For a query of our own.
    pub(in super::super) fn asking(key: Arc<Key>) -> Self {
        Self {
            key,
            before: None,
            signed: 0,
        }
    }

    /// The key's name on the wire.
    pub(in super::super) fn key_name(&self) -> &[u8] {
        self.key.name()
    }

    /// Bytes that a signature adds to a message.
    pub(in super::super) fn room(&self) -> usize {
        let mac = self.key.algorithm().mac_bytes();
        self.unwritten(0, &[]).record_bytes(mac)
    }

    /// Appends the signature of the next message of this answer, or of the query, at a time,
    /// seconds since the Unix epoch.
    pub(in super::super) fn sign(&mut self, message: &mut Vec<u8>, now_s: u64) {
        let record = self.unwritten(now_s, &[]);
        let mac = self.mac_of(message, &record, self.signed > 0);
        record.append(&mac, message);
        self.before = Some(mac);
        self.signed += 1;
    }

    /// Whether a message is the answer to the query that was signed: signed with the same key,
    /// in time.
    pub(in super::super) fn verifies(&self, answer: &[u8], now_s: u64) -> bool {
        let Some(records) = raw::records(answer) else {
            return false;
        };
        let last = records.last().filter(|record| record.is_last);
        let Some(signature) = last.and_then(|record| Signature::read(answer, record)) else {
            return false;
        };
        signature.key_name == self.key.name()
            && signature.algorithm == self.key.algorithm_name()
            && signature.mac.len() == self.key.algorithm().mac_bytes()
            && now_s.abs_diff(signature.time_s) <= u64::from(signature.fudge_s)
            && is_right(&self.key, answer, &signature, self.before.as_deref())
    }

    fn unwritten<'a>(&'a self, now_s: u64, other: &'a [u8]) -> Unwritten<'a> {
        Unwritten {
            key_name: self.key.name(),
            algorithm: self.key.algorithm_name(),
            time_s: now_s,
            fudge_s: FUDGE_S,
            error: 0,
            other,
        }
    }

    fn mac_of(&self, message: &[u8], record: &Unwritten<'_>, timers_only: bool) -> Vec<u8> {
        let signed = if timers_only {
            record.timers().to_vec()
        } else {
            record.variables()
        };
        let length = before_length(self.before.as_deref());
        let before = self.before.as_deref().unwrap_or_default();
        self.key.mac(&[&length, before, message, &signed])
    }
}

/// The length that goes before a MAC that is signed; nothing where there is no such MAC.
fn before_length(before: Option<&[u8]>) -> Vec<u8> {
    before.map_or_else(Vec::new, |mac| (mac.len() as u16).to_be_bytes().to_vec())
}

/// Whether a message's signature is what this key makes of it; `before`: the MAC of the query
/// it answers.
pub(super) fn is_right(
    key: &Key,
    message: &[u8],
    signature: &Signature<'_>,
    before: Option<&[u8]>,
) -> bool {
    let mut unsigned = message.get(..signature.at).unwrap_or_default().to_vec();
    if let Some(id) = unsigned.get_mut(..2) {
        id.copy_from_slice(&signature.original_id);
    }
    add_additional(&mut unsigned, -1);
    let record = Unwritten {
        key_name: &signature.key_name,
        algorithm: &signature.algorithm,
        time_s: signature.time_s,
        fudge_s: signature.fudge_s,
        error: signature.error,
        other: signature.other,
    };
    let length = before_length(before);
    let parts: [&[u8]; 4] = [
        &length,
        before.unwrap_or_default(),
        &unsigned,
        &record.variables(),
    ];
    key.verify(&parts, signature.mac)
}

/// A refused signature, to be told in the answer.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Failure {
    error: Error,
    key_name: Vec<u8>,
    algorithm: Vec<u8>,
    time_s: u64,
    fudge_s: u16,
    /// The time here, for those whose clock is wrong; empty otherwise.
    other: Vec<u8>,
    /// Who signs the answer: only the time was wrong.
    signer: Option<Signer>,
}

impl Failure {
    pub(super) fn new(
        error: Error,
        signature: &Signature<'_>,
        signer: Option<Signer>,
        now_s: u64,
    ) -> Self {
        let other = match error {
            Error::BadTime => now_s.to_be_bytes().get(2..).unwrap_or_default().to_vec(),
            Error::BadKey | Error::BadSignature => Vec::new(),
        };
        Self {
            error,
            key_name: signature.key_name.clone(),
            algorithm: signature.algorithm.clone(),
            time_s: signature.time_s,
            fudge_s: signature.fudge_s,
            other,
            signer,
        }
    }

    /// Why it was refused, as the standard names it.
    pub(in super::super) fn reason(&self) -> &'static str {
        match self.error {
            Error::BadSignature => "BADSIG",
            Error::BadKey => "BADKEY",
            Error::BadTime => "BADTIME",
        }
    }

    /// Appends the TSIG record that tells of it; without a MAC where the sender is not known
    /// (RFC 8945 §5.3.2).
    pub(in super::super) fn append(&self, answer: &mut Vec<u8>) {
        let record = Unwritten {
            key_name: &self.key_name,
            algorithm: &self.algorithm,
            time_s: self.time_s,
            fudge_s: self.fudge_s,
            error: self.error as u16,
            other: &self.other,
        };
        let mac = self
            .signer
            .as_ref()
            .map(|signer| signer.mac_of(answer, &record, false));
        record.append(&mac.unwrap_or_default(), answer);
    }

    /// Bytes that the record adds to a message.
    pub(in super::super) fn room(&self) -> usize {
        let mac = self.signer.as_ref().map_or(0, Signer::room);
        self.key_name.len() + self.algorithm.len() + 26 + self.other.len() + mac
    }
}

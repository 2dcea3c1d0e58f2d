//! Signatures of messages with shared keys (TSIG, RFC 8945), on the messages' bytes.
//!
//! | module | holds |
//! |---|---|
//! | `key` | keys and algorithms |
//! | `record` | the TSIG record of a message |
//! | `sign` | signatures of answers and of queries of our own |

mod key;
mod record;
mod sign;
#[cfg(test)]
mod tests;

pub(super) use key::key_name;
pub use key::{BadKey, Key, Keys};
pub(super) use sign::{Failure, Signer};

use super::raw;
pub(super) use crate::clock::now_s;
use record::{Signature, TSIG};

/// How far clocks may differ in what is signed here (RFC 8945 §10), seconds.
const FUDGE_S: u16 = 300;

/// What a query's signature says.
#[derive(Debug)]
pub(super) enum Checked {
    /// It has none.
    Unsigned,
    /// It is right: the answer is signed with the same key.
    Signed(Box<Signer>),
    /// It is not: NOTAUTH, and why in the answer's TSIG record.
    Failed(Box<Failure>),
    /// It is against the rules of the record itself: FORMERR.
    Malformed,
}

/// What the answer to a query is signed with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Signing {
    /// Nothing: neither is the query.
    Unsigned,
    /// The query's key.
    With(Box<Signer>),
    /// The query's signature is refused, and the answer says why.
    Refused(Box<Failure>),
}

impl Signing {
    /// Bytes it adds to an answer.
    pub(super) fn room(&self) -> usize {
        match self {
            Self::Unsigned => 0,
            Self::With(signer) => signer.room(),
            Self::Refused(failure) => failure.room(),
        }
    }

    /// Signs a whole answer.
    pub(super) fn sign(&self, answer: &mut Vec<u8>) {
        match self {
            Self::Unsigned => {}
            Self::With(signer) => Signer::clone(signer).sign(answer, now_s()),
            Self::Refused(failure) => failure.append(answer),
        }
    }

    /// Who signs the many messages of an answer.
    pub(super) fn signer(&self) -> Option<Signer> {
        match self {
            Self::With(signer) => Some(Signer::clone(signer)),
            Self::Unsigned | Self::Refused(_) => None,
        }
    }
}

impl Keys {
    /// Judges the signature of a query at a time, seconds since the Unix epoch.
    pub(super) fn check(&self, message: &[u8], now_s: u64) -> Checked {
        let Some(records) = raw::records(message) else {
            return Checked::Malformed;
        };
        let mut signatures = records.iter().filter(|record| record.rtype == TSIG);
        let Some(found) = signatures.next() else {
            return Checked::Unsigned;
        };
        let signature = match Signature::read(message, found) {
            Some(signature) if found.is_last => signature,
            _ => return Checked::Malformed,
        };
        self.judge(message, &signature, now_s)
    }

    fn judge(&self, message: &[u8], signature: &Signature<'_>, now_s: u64) -> Checked {
        let failed = |error| Checked::Failed(Box::new(Failure::new(error, signature, None, now_s)));
        let Some(key) = self.find(&signature.key_name, &signature.algorithm) else {
            return failed(sign::Error::BadKey);
        };
        // Truncated to less than half of it, a MAC is no proof (RFC 8945 §5.2.2.1).
        let whole = key.algorithm().mac_bytes();
        if signature.mac.len() > whole || signature.mac.len() < (whole / 2).max(10) {
            return Checked::Malformed;
        }
        if !sign::is_right(key, message, signature, None) {
            return failed(sign::Error::BadSignature);
        }
        let signer = Signer::answering(key.clone(), signature);
        if now_s.abs_diff(signature.time_s) > u64::from(signature.fudge_s) {
            let failure = Failure::new(sign::Error::BadTime, signature, Some(signer), now_s);
            return Checked::Failed(Box::new(failure));
        }
        Checked::Signed(Box::new(signer))
    }
}

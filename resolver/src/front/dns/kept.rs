//! Answers kept as bytes, by question: what is asked again is answered by copying. An answer is
//! given again only while what it was made from stands: nothing that was acknowledged is ever
//! missing in it.

use super::dnssec::{Dnssec, now_s};
use super::edns::ClientEdns;
use super::encode::Tail;
use super::frame::Frame;
use super::reply::{Keep, Reply};
use crate::front::kept::{Answers, Weighed, answers};
use crate::resolve::{Basis, Resolver};
use hickory_proto::rr::DNSClass;
use idnode_proto::dnsname::ZoneKind;

/// Longest question key: one byte of flags, a name, two of type.
const MAX_KEY_BYTES: usize = 3 + 255;
/// What an entry takes beside its key and its answer, about, bytes.
const ENTRY_BYTES: usize = 96;
/// What an entry takes in all, about: to begin with room for as many as there will be.
const USUAL_ENTRY_BYTES: u64 = 400;

/// A question as answers are kept under it: what of a query its records depend on.
#[derive(Debug)]
pub(super) struct Key {
    bytes: [u8; MAX_KEY_BYTES],
    length: usize,
}

impl Key {
    /// Of a usual query that may be answered from what is kept; `None`: it must be considered.
    pub(super) fn of(frame: &Frame<'_>, client: Option<&ClientEdns>) -> Option<Self> {
        if frame.qclass != u16::from(DNSClass::IN)
            || client.is_some_and(|client| client.version > 0 || client.malformed)
        {
            return None;
        }
        let flags = client.map_or(0, |client| {
            u8::from(client.dnssec_ok) | u8::from(client.compact_ok) << 1
        });
        let mut bytes = [0; MAX_KEY_BYTES];
        let length = 3 + frame.name.len();
        let (first, rest) = bytes.get_mut(..length)?.split_first_mut()?;
        let (name, qtype) = rest.split_last_chunk_mut::<2>()?;
        *first = flags;
        name.copy_from_slice(frame.name);
        // Lengths of labels are no letters.
        name.make_ascii_lowercase();
        *qtype = frame.qtype.to_be_bytes();
        Some(Self { bytes, length })
    }

    /// Name and type alone, as [`Asked::counted_as`].
    ///
    /// [`Asked::counted_as`]: super::query::Asked::counted_as
    pub(super) fn question(&self) -> &[u8] {
        self.bytes.get(1..self.length).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// An answer's records, and what they rest on.
#[derive(Debug, Clone)]
pub(super) struct KeptAnswer {
    /// The zone it is in, if it is in one.
    pub(super) zone: Option<ZoneKind>,
    pub(super) tail: Tail,
    pub(super) basis: Basis,
    /// The keys it was made with, see [`Keep::While`].
    generation: u64,
    /// When its signatures are to be replaced, seconds since the Unix epoch.
    until_s: u64,
}

impl Weighed for KeptAnswer {
    fn bytes(&self) -> usize {
        self.tail.weight() + ENTRY_BYTES
    }
}

/// The answers of one thread.
#[derive(Debug)]
pub(super) struct KeptAnswers {
    answers: Answers<KeptAnswer>,
}

impl KeptAnswers {
    /// Room for about `capacity_bytes` of questions and answers.
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            answers: answers(capacity_bytes, USUAL_ENTRY_BYTES),
        }
    }

    /// The answer to a question, if it still is what would be answered now.
    pub(super) fn get(
        &self,
        key: &Key,
        resolver: &Resolver,
        dnssec: &Dnssec,
    ) -> Option<&KeptAnswer> {
        let kept = self.answers.get(key.as_bytes())?;
        let is_fresh = kept.until_s == u64::MAX || now_s() < kept.until_s;
        (is_fresh && kept.generation == dnssec.generation() && resolver.stands(&kept.basis))
            .then_some(kept)
    }

    /// Keeps an answer, unless the next one may be another.
    pub(super) fn keep(&mut self, key: &Key, zone: Option<ZoneKind>, tail: Tail, reply: &Reply) {
        if let Keep::While(basis, generation) = &reply.keep {
            let answer = KeptAnswer {
                zone,
                tail,
                basis: basis.clone(),
                generation: *generation,
                until_s: reply.until_s,
            };
            self.answers.insert(key.as_bytes().into(), answer);
        }
    }
}

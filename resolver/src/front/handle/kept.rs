//! Answers kept as bytes, by request: what is asked again is answered by copying. An answer is given again only while what it was made
//! from stands: nothing that was acknowledged is ever missing in it.

use super::answer::{MAX_EXPIRATION_S, MIN_EXPIRATION_S, now_s};
use super::metrics::Outcome;
use crate::front::kept::{Answers, Weighed, answers};
use crate::resolve::{Basis, Resolver};
use idnode_proto::handle::{OpCode, OpFlags};
use std::ops::Range;

/// The longest request whose answer is kept, bytes: one datagram.
const MAX_REQUEST_BYTES: usize = 512;
/// The longest answer that is kept, bytes.
const MAX_REPLY_BYTES: usize = 4_096;
/// What an entry takes beside its key and its answer, about, bytes: measured as resident memory.
const ENTRY_BYTES: usize = 190;
/// What an entry takes in all, about: to begin with room for as many as there will be.
const USUAL_ENTRY_BYTES: u64 = 600;

/// Options that make an answer more than a function of what is asked: a signature, encryption, a
/// digest of all of the request.
const UNUSUAL: OpFlags = OpFlags(
    OpFlags::CERTIFY.0 | OpFlags::ENCRYPT.0 | OpFlags::REQUEST_DIGEST.0 | OpFlags::CONTINUES.0,
);

// Where the fields of a message are (RFC 3652 §2.2.1, §2.2.2).
const SESSION: Range<usize> = 4..8;
const REQUEST_ID: Range<usize> = 8..12;
const EXPIRATION: Range<usize> = 36..40;
const BODY: usize = 44;

/// A usual resolution: whole, without session, credential or unusual options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usual<'m> {
    message: &'m [u8],
    body: &'m [u8],
}

impl<'m> Usual<'m> {
    /// `None`: the request must be considered.
    pub(super) fn read(message: &'m [u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = message.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let length = message.len();
        let body = message.get(BODY..length.checked_sub(4)?)?;
        let has_wrapping = message.get(2)? & !0x03 != 0;
        let is_usual = length <= MAX_REQUEST_BYTES
            && !has_wrapping
            && number(4)? == 0
            && number(12)? == 0
            && number(16)? as usize == length - 20
            && number(20)? == OpCode::RESOLVE.0
            && number(24)? == 0
            && OpFlags(number(28)?).and(UNUSUAL) == OpFlags::NONE
            && number(40)? as usize == body.len()
            && number(length - 4)? == 0;
        is_usual.then_some(Self { message, body })
    }

    /// Writes what of it the answer depends on: versions, options, site serial, recursion count,
    /// what is asked.
    fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        for part in [0..4, 28..35] {
            key.extend_from_slice(self.message.get(part).unwrap_or_default());
        }
        key.extend_from_slice(self.body);
    }
}

/// An answer, and what it rests on.
#[derive(Debug, Clone)]
struct KeptAnswer {
    reply: Box<[u8]>,
    /// How long it holds from when it is given, seconds.
    lasts_s: u32,
    outcome: Outcome,
    basis: Basis,
}

impl Weighed for KeptAnswer {
    fn bytes(&self) -> usize {
        self.reply.len() + ENTRY_BYTES
    }
}

/// The answers of one thread.
#[derive(Debug)]
pub(super) struct KeptAnswers {
    answers: Answers<KeptAnswer>,
    /// The key of the request at hand.
    key: Vec<u8>,
}

impl KeptAnswers {
    /// Room for about `capacity_bytes` of requests and answers.
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self {
            answers: answers(capacity_bytes, USUAL_ENTRY_BYTES),
            key: Vec::with_capacity(MAX_REQUEST_BYTES),
        }
    }

    /// Appends the answer to a request if it is kept and still is what would be answered now;
    /// its outcome then, which is counted for the prefix.
    pub(super) fn repeat(
        &mut self,
        usual: &Usual<'_>,
        resolver: &Resolver,
        out: &mut Vec<u8>,
    ) -> Option<Outcome> {
        usual.write_key(&mut self.key);
        let kept = self.answers.get(self.key.as_slice())?;
        if !resolver.stands(&kept.basis) {
            return None;
        }
        let at = out.len();
        out.extend_from_slice(&kept.reply);
        let reply = out.get_mut(at..)?;
        let expires_s = now_s().saturating_add(kept.lasts_s.into());
        let expires_s = u32::try_from(expires_s).unwrap_or(u32::MAX);
        reply
            .get_mut(REQUEST_ID)?
            .copy_from_slice(usual.message.get(REQUEST_ID)?);
        reply
            .get_mut(EXPIRATION)?
            .copy_from_slice(&expires_s.to_be_bytes());
        kept.basis.count();
        Some(kept.outcome)
    }

    /// Keeps an answer that was just made to the request that [`Self::repeat`] was last asked
    /// for, unless it is long or the next one may be another.
    pub(super) fn keep(&mut self, reply: &[u8], outcome: Outcome, basis: Basis) {
        let has_no_session = reply.get(SESSION).is_some_and(|id| *id == [0; 4]);
        if reply.len() > MAX_REPLY_BYTES || !has_no_session || !outcome.repeats() {
            return;
        }
        let Some(expires_s) = reply.get(EXPIRATION).and_then(|it| it.first_chunk::<4>()) else {
            return;
        };
        // The clock may have moved on since it was made.
        let lasts_s = u64::from(u32::from_be_bytes(*expires_s)).saturating_sub(now_s());
        let lasts_s = u32::try_from(lasts_s).unwrap_or(MAX_EXPIRATION_S);
        let answer = KeptAnswer {
            reply: reply.into(),
            lasts_s: lasts_s.clamp(MIN_EXPIRATION_S, MAX_EXPIRATION_S),
            outcome,
            basis,
        };
        self.answers.insert(self.key.as_slice().into(), answer);
    }
}

impl Outcome {
    /// Whether it is the same for whoever asks, as long as what it rests on stands.
    fn repeats(self) -> bool {
        match self {
            Self::Found
            | Self::NoValues
            | Self::NotFound
            | Self::Deleted
            | Self::NotResponsible
            | Self::Referral => true,
            Self::Site
            | Self::Invalid
            | Self::Unsupported
            | Self::Done
            | Self::Challenged
            | Self::Denied
            | Self::Refused
            | Self::Busy
            | Self::Failed
            | Self::Ignored => false,
        }
    }
}

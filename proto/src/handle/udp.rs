//! Messages in datagrams (RFC 3652 §2.3): cutting answers, putting requests together.
//!
//! As running servers do it: pieces of 492 bytes, each behind an envelope with its sequence
//! number and the length of the whole message. The truncated bit is not set when cutting, since
//! no client needs it and one waits for ever when it meets it; received, it makes no difference.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use thiserror::Error;

use super::envelope::{ENVELOPE_LEN, Envelope};
use super::message::MAX_MESSAGE_LEN;
use super::wire::length_field;

/// The longest datagram, bytes.
pub const MAX_DATAGRAM_LEN: usize = 512;
/// The most of a message that one datagram carries, bytes.
pub const MAX_PIECE_LEN: usize = MAX_DATAGRAM_LEN - ENVELOPE_LEN;
/// The most pieces taken for one message: twice what a longest message needs, for peers that
/// cut smaller.
pub const MAX_PIECES: u32 = 1066;

/// What a piece costs beyond its bytes while it waits: its place in the maps, roughly.
const PIECE_OVERHEAD: usize = 64;

/// One datagram of a message: send both parts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The datagram's own envelope.
    pub envelope: [u8; ENVELOPE_LEN],
    /// Its piece of the message, at most [`MAX_PIECE_LEN`] bytes.
    pub piece: &'a [u8],
}

impl Datagram<'_> {
    /// Appends the datagram's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.envelope);
        out.extend_from_slice(self.piece);
    }
}

/// Cuts an encoded message (envelope first) into its datagrams, in order. A message of up to
/// [`MAX_DATAGRAM_LEN`] bytes is its own only datagram and may be sent as it is. Gives nothing for
/// bytes that do not start with an envelope.
pub fn datagrams(message: &[u8]) -> impl ExactSizeIterator<Item = Datagram<'_>> {
    let (envelope, contents) = match Envelope::decode(message) {
        Ok(envelope) => (envelope, message.get(ENVELOPE_LEN..).unwrap_or_default()),
        Err(_) => (Envelope::EMPTY, Default::default()),
    };
    let message_len = u32::from_be_bytes(length_field(contents.len()));
    let mut sequence = 0;
    contents.chunks(MAX_PIECE_LEN).map(move |piece| {
        let envelope = Envelope {
            sequence,
            message_len,
            flags: envelope.flags.whole(),
            ..envelope
        };
        sequence += 1;
        Datagram {
            envelope: envelope.encode(),
            piece,
        }
    })
}

/// The bounds of a [`Reassembler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Unfinished messages kept; above, the oldest is dropped.
    pub max_messages: usize,
    /// Unfinished messages kept of one source; above, its new ones are refused.
    pub max_messages_per_source: usize,
    /// Bytes kept in unfinished messages; above, the oldest are dropped.
    pub max_bytes: usize,
    /// How long a message may take from its first piece to its last, milliseconds.
    pub max_age_ms: u64,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self {
            max_messages: 1024,
            max_messages_per_source: 8,
            max_bytes: 4 << 20,
            max_age_ms: 5_000,
        }
    }
}

/// Why a datagram was thrown away. Except for [`DatagramError::NoEnvelope`], no answer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DatagramError {
    /// Shorter than an envelope.
    #[error("a datagram of {length} bytes has no envelope")]
    NoEnvelope {
        /// Its length, bytes.
        length: usize,
    },
    /// The message it belongs to is above [`MAX_MESSAGE_LEN`].
    #[error("a message of {length} bytes is announced, the limit is {MAX_MESSAGE_LEN}")]
    TooLong {
        /// The announced length, bytes.
        length: u32,
        /// Its sequence number.
        sequence: u32,
    },
    /// An envelope and nothing else, in a message that has more.
    #[error("piece {sequence} is empty")]
    Empty {
        /// Its sequence number.
        sequence: u32,
    },
    /// A sequence number that no message reaches.
    #[error("piece {sequence} is out of range, at most {MAX_PIECES} are taken")]
    OutOfRange {
        /// Its sequence number.
        sequence: u32,
    },
    /// Other pieces of the same message announce another length.
    #[error("the message is announced with {length} bytes, before with {before}")]
    LengthChanged {
        /// What this piece says, bytes.
        length: u32,
        /// What the first piece said, bytes.
        before: u32,
    },
    /// The pieces together are longer than the message: it has been dropped.
    #[error("the pieces make {length} bytes of a message of {announced}")]
    Overlong {
        /// What the pieces make, bytes.
        length: usize,
        /// What the envelopes say, bytes.
        announced: u32,
    },
    /// The source has too many unfinished messages.
    #[error("the source has {limit} unfinished messages already")]
    SourceFull {
        /// The most it may have.
        limit: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key<S> {
    source: S,
    request_id: u32,
    session_id: u32,
}

#[derive(Debug)]
struct Partial {
    envelope: Envelope,
    pieces: BTreeMap<u32, Box<[u8]>>,
    bytes: usize,
    /// Place in the order of arrival.
    ticket: u64,
    since_ms: u64,
}

impl Partial {
    fn cost(&self) -> usize {
        self.bytes + self.pieces.len() * PIECE_OVERHEAD
    }

    /// Whether every piece from 0 on is there, up to the announced length.
    fn complete(&self) -> bool {
        let last = self.pieces.last_key_value().map(|(sequence, _)| *sequence);
        self.bytes == self.envelope.message_len as usize
            && last.map(|sequence| sequence as usize + 1) == Some(self.pieces.len())
    }

    fn join(self) -> Vec<u8> {
        let envelope = Envelope {
            sequence: 0,
            flags: self.envelope.flags.whole(),
            ..self.envelope
        };
        let mut message = Vec::with_capacity(ENVELOPE_LEN + self.bytes);
        message.extend_from_slice(&envelope.encode());
        for piece in self.pieces.values() {
            message.extend_from_slice(piece);
        }
        message
    }
}

/// Puts messages together from datagrams. `S` is whatever tells sources apart, usually a socket
/// address. No clock of its own: every call brings the time. What it keeps is what it was sent,
/// never what an envelope announces.
#[derive(Debug)]
pub struct Reassembler<S> {
    limits: ReassemblyLimits,
    partials: HashMap<Key<S>, Partial>,
    by_age: BTreeMap<u64, Key<S>>,
    per_source: HashMap<S, usize>,
    bytes: usize,
    next_ticket: u64,
    displaced: u64,
}

impl<S: Clone + Eq + Hash> Reassembler<S> {
    /// An empty one.
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            partials: HashMap::new(),
            by_age: BTreeMap::new(),
            per_source: HashMap::new(),
            bytes: 0,
            next_ticket: 0,
            displaced: 0,
        }
    }

    /// Unfinished messages kept at the moment.
    pub fn pending(&self) -> usize {
        self.partials.len()
    }

    /// Bytes kept at the moment, overhead included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unfinished messages that were dropped for want of room since this was last asked.
    pub fn take_displaced(&mut self) -> u64 {
        std::mem::take(&mut self.displaced)
    }

    /// Takes one datagram. `Some` is a whole message, envelope first and cut to its announced
    /// length; borrowed when one datagram was all of it. `now_ms` counts from any fixed moment.
    /// A piece that came before is ignored, whatever it holds.
    pub fn accept<'d>(
        &mut self,
        source: &S,
        datagram: &'d [u8],
        now_ms: u64,
    ) -> Result<Option<Cow<'d, [u8]>>, DatagramError> {
        let length = datagram.len();
        let envelope =
            Envelope::decode(datagram).map_err(|_| DatagramError::NoEnvelope { length })?;
        let announced = envelope.message_len;
        if announced as usize > MAX_MESSAGE_LEN {
            let (length, sequence) = (announced, envelope.sequence);
            return Err(DatagramError::TooLong { length, sequence });
        }
        if envelope.sequence == 0
            && let Some(whole) = datagram.get(..ENVELOPE_LEN + announced as usize)
        {
            return Ok(Some(Cow::Borrowed(whole)));
        }
        let piece = datagram.get(ENVELOPE_LEN..).unwrap_or_default();
        let sequence = envelope.sequence;
        if piece.is_empty() {
            return Err(DatagramError::Empty { sequence });
        }
        if sequence >= MAX_PIECES {
            return Err(DatagramError::OutOfRange { sequence });
        }
        self.expire(now_ms);
        let key = Key {
            source: source.clone(),
            request_id: envelope.request_id,
            session_id: envelope.session_id,
        };
        self.add(&key, envelope, piece, now_ms)
            .map(|done| done.map(Cow::Owned))
    }

    /// Drops messages that take too long. [`Reassembler::accept`] does so too; a quiet socket
    /// calls this now and then.
    pub fn expire(&mut self, now_ms: u64) {
        while let Some(key) = self.oldest() {
            let since_ms = self.partials.get(&key).map_or(0, |p| p.since_ms);
            if now_ms.saturating_sub(since_ms) < self.limits.max_age_ms {
                break;
            }
            self.remove(&key);
        }
    }

    fn oldest(&self) -> Option<Key<S>> {
        self.by_age.first_key_value().map(|(_, key)| key.clone())
    }

    fn add(
        &mut self,
        key: &Key<S>,
        envelope: Envelope,
        piece: &[u8],
        now_ms: u64,
    ) -> Result<Option<Vec<u8>>, DatagramError> {
        if !self.partials.contains_key(key) {
            self.open(key, envelope, now_ms)?;
        }
        let Some(partial) = self.partials.get_mut(key) else {
            return Ok(None);
        };
        let (length, before) = (envelope.message_len, partial.envelope.message_len);
        if length != before {
            return Err(DatagramError::LengthChanged { length, before });
        }
        if partial.pieces.contains_key(&envelope.sequence) {
            return Ok(None);
        }
        let total = partial.bytes + piece.len();
        if total > before as usize {
            self.remove(key);
            let (length, announced) = (total, before);
            return Err(DatagramError::Overlong { length, announced });
        }
        partial.bytes = total;
        partial.pieces.insert(envelope.sequence, piece.into());
        self.bytes += piece.len() + PIECE_OVERHEAD;
        if partial.complete() {
            return Ok(self.remove(key).map(Partial::join));
        }
        while self.bytes > self.limits.max_bytes {
            let Some(oldest) = self.oldest() else { break };
            self.remove(&oldest);
            self.displaced += 1;
        }
        Ok(None)
    }

    fn open(&mut self, key: &Key<S>, envelope: Envelope, now_ms: u64) -> Result<(), DatagramError> {
        let of_source = self.per_source.get(&key.source).copied().unwrap_or(0);
        let limit = self.limits.max_messages_per_source;
        if of_source >= limit {
            return Err(DatagramError::SourceFull { limit });
        }
        if self.partials.len() >= self.limits.max_messages
            && let Some(oldest) = self.oldest()
        {
            self.remove(&oldest);
            self.displaced += 1;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        *self.per_source.entry(key.source.clone()).or_default() += 1;
        self.by_age.insert(ticket, key.clone());
        let partial = Partial {
            envelope,
            pieces: BTreeMap::new(),
            bytes: 0,
            ticket,
            since_ms: now_ms,
        };
        self.partials.insert(key.clone(), partial);
        Ok(())
    }

    fn remove(&mut self, key: &Key<S>) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.by_age.remove(&partial.ticket);
        self.bytes = self.bytes.saturating_sub(partial.cost());
        if let Some(count) = self.per_source.get_mut(&key.source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&key.source);
            }
        }
        Some(partial)
    }
}

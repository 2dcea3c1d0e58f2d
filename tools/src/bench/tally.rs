//! What came of the queries: counts and latencies.

use hdrhistogram::Histogram;

use super::error::Failure;
use super::window::Waiting;

/// Latencies are kept up to this, nanoseconds; what is beyond counts as this.
const LONGEST_NS: u64 = 600_000_000_000;
/// Significant decimal digits of latencies.
const DIGITS: u8 = 3;
/// Response codes are below this, whatever the protocol.
const CODES: usize = 1024;

/// What one sender has seen.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Queries sent.
    pub(super) sent: u64,
    /// Answers to them, whatever they say.
    pub(super) answered: u64,
    /// Queries without an answer in time.
    pub(super) lost: u64,
    /// Answers to nothing that was waiting: late, double, or made up.
    pub(super) unexpected: u64,
    /// Answers that repeat another question than the one asked.
    pub(super) mismatched: u64,
    /// Connections opened anew after the server had closed them.
    pub(super) reconnects: u64,
    /// Answers with TC set.
    pub(super) truncated: u64,
    /// Bytes of the answers' messages.
    pub(super) answer_bytes: u64,
    /// Answers by response code.
    pub(super) codes: Vec<u64>,
    /// From when a query was due to its answer, nanoseconds.
    pub(super) latency_ns: Histogram<u64>,
    /// When the last answer came, nanoseconds since the start.
    pub(super) last_ns: u64,
    /// By question, what was answered last; empty unless that is asked for.
    pub(super) answers: Vec<Option<Seen>>,
}

/// What an answer says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Response code.
    pub(super) code: u16,
    /// DNS: whether TC is set.
    pub(super) truncated: bool,
    /// DNS: records of the answer, authority and additional sections.
    pub(super) records: [u16; 3],
}

impl Seen {
    /// Of an answer with this response code.
    pub(super) fn code(code: u16) -> Self {
        Self {
            code,
            truncated: false,
            records: [0; 3],
        }
    }

    /// Of a DNS message's header (RFC 1035 §4.1.1).
    pub(super) fn of(header: &[u8; 12]) -> Self {
        let [_, _, high, low, _, _, counts @ ..] = header;
        let [a0, a1, n0, n1, r0, r1] = *counts;
        Self {
            code: u16::from(low & 0x0F),
            truncated: high & 0x02 != 0,
            records: [[a0, a1], [n0, n1], [r0, r1]].map(u16::from_be_bytes),
        }
    }
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self, Failure> {
        let latency_ns = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self {
            sent: 0,
            answered: 0,
            lost: 0,
            unexpected: 0,
            mismatched: 0,
            reconnects: 0,
            truncated: 0,
            answer_bytes: 0,
            codes: vec![0; CODES],
            latency_ns,
            last_ns: 0,
            answers: Vec::new(),
        })
    }

    /// Counts an answer of `length` bytes that came at `now_ns` to a query.
    pub(super) fn answer(&mut self, seen: Seen, length: usize, query: &Waiting, now_ns: u64) {
        self.answered += 1;
        self.truncated += u64::from(seen.truncated);
        self.answer_bytes += length as u64;
        if let Some(count) = self.codes.get_mut(usize::from(seen.code)) {
            *count += 1;
        }
        if let Some(place) = self.answers.get_mut(query.question as usize) {
            *place = Some(seen);
        }
        self.latency_ns
            .saturating_record(now_ns.saturating_sub(query.due_ns));
        self.last_ns = now_ns;
    }

    /// Adds what another sender has seen.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.sent += other.sent;
        self.answered += other.answered;
        self.lost += other.lost;
        self.unexpected += other.unexpected;
        self.mismatched += other.mismatched;
        self.reconnects += other.reconnects;
        self.truncated += other.truncated;
        self.answer_bytes += other.answer_bytes;
        for (own, others) in self.codes.iter_mut().zip(&other.codes) {
            *own += others;
        }
        self.last_ns = self.last_ns.max(other.last_ns);
        self.answers
            .resize(self.answers.len().max(other.answers.len()), None);
        for (own, others) in self.answers.iter_mut().zip(&other.answers) {
            *own = others.or(*own);
        }
        self.latency_ns
            .add(&other.latency_ns)
            .map_err(|error| Failure::Usage(error.to_string()))
    }
}

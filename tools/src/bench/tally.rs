//! What came of the queries: counts and latencies.

use hdrhistogram::Histogram;

use super::error::Failure;

/// Latencies are kept up to this, nanoseconds; what is beyond counts as this.
const LONGEST_NS: u64 = 600_000_000_000;
/// Significant decimal digits of latencies.
const DIGITS: u8 = 3;
/// Response codes there are in a header (RFC 1035 §4.1.1).
const RCODES: usize = 16;

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
    pub(super) rcodes: [u64; RCODES],
    /// From when a query was due to its answer, nanoseconds.
    pub(super) latency_ns: Histogram<u64>,
    /// When the last answer came, nanoseconds since the start.
    pub(super) last_ns: u64,
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
            rcodes: [0; RCODES],
            latency_ns,
            last_ns: 0,
        })
    }

    /// Counts an answer of `length` bytes with these flags (the header's third and fourth
    /// byte), that came at `now_ns` to a query due at `due_ns`.
    pub(super) fn answer(&mut self, flags: [u8; 2], length: usize, due_ns: u64, now_ns: u64) {
        let [high, low] = flags;
        self.answered += 1;
        self.truncated += u64::from(high & 0x02 != 0);
        self.answer_bytes += length as u64;
        if let Some(count) = self.rcodes.get_mut(usize::from(low & 0x0F)) {
            *count += 1;
        }
        self.latency_ns
            .saturating_record(now_ns.saturating_sub(due_ns));
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
        for (own, others) in self.rcodes.iter_mut().zip(other.rcodes) {
            *own += others;
        }
        self.last_ns = self.last_ns.max(other.last_ns);
        self.latency_ns
            .add(&other.latency_ns)
            .map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// The mnemonic of a response code of the header (RFC 6895 §2.3).
pub(super) fn rcode_name(code: usize) -> String {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    names
        .get(code)
        .map_or_else(|| format!("RCODE{code}"), |name| (*name).to_owned())
}

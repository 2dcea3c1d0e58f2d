//! Which queries' sources are looked at. Each thread draws for itself, with one chance for every
//! query, independent of all others (so that no rhythm of sources is followed): all of them while
//! there are few, one in 2, 4, … 1024 when there are many. A sample stands for as many queries as
//! one in how many was drawn: the sum over a source's samples is an estimate of its queries without
//! bias, whose variance is the sum of `w (w − 1)` over the weights `w`.

use super::asker;
use idnode_registry::prefix_table::Traffic;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long a thread's rate is looked at.
const WINDOW: Duration = Duration::from_millis(100);
/// Samples of one thread in that time, at most: more halve the chance.
const MOST_A_WINDOW: u32 = 200;
/// Fewer double it.
const FEWEST_A_WINDOW: u32 = MOST_A_WINDOW / 4;
/// The least chance is one in this.
const LEAST_CHANCE: u32 = 1_024;
/// Samples that wait to be gathered; further ones are lost, and counted.
const WAITING: usize = 1 << 16;
/// Samples of one batch, or of one task, that wait for its end.
const HELD_BACK: usize = 256;

/// Where a query came from: an IPv4 address, or an IPv6 network of 64 bits, which is what one
/// subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(((address.to_bits() >> 64) as u64).to_be_bytes()),
        }
    }
}

impl Source {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
    }

    /// Reads [`Source::bytes`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let v4 = bytes.try_into().ok().map(Self::V4);
        v4.or_else(|| bytes.try_into().ok().map(Self::V6))
    }
}

/// A query that was looked at.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) traffic: Arc<Traffic>,
    pub(super) source: Option<Source>,
    /// For how many it stands.
    pub(super) weight: u32,
    /// How long it took, with what was answered together with it, nanoseconds; `None`: that was not seen to its
    /// end.
    pub(super) took_ns: Option<u64>,
}

static ON: AtomicBool = AtomicBool::new(false);
static LOST: AtomicU64 = AtomicU64::new(0);

/// Both ends of the queue.
type Queue = (SyncSender<Sample>, Mutex<Receiver<Sample>>);

static QUEUE: LazyLock<Queue> = LazyLock::new(|| {
    let (sender, receiver) = sync_channel(WAITING);
    (sender, Mutex::new(receiver))
});

/// What a thread counts of each query.
struct Counted {
    /// Queries so far.
    asked: Cell<u64>,
    /// Queries until the next sample.
    left: Cell<u32>,
}

thread_local! {
    static COUNTED: Counted = const {
        Counted {
            asked: Cell::new(0),
            left: Cell::new(1),
        }
    };
    static DRAWS: RefCell<Draws> = RefCell::new(Draws::new());
    static BATCH: RefCell<Option<Vec<Sample>>> = const { RefCell::new(None) };
}

/// From now on sources are looked at.
pub(super) fn turn_on() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether sources are looked at.
#[inline]
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// One query more under a prefix.
#[inline]
pub(super) fn tick(traffic: &Arc<Traffic>) {
    COUNTED.with(|counted| {
        counted.asked.set(counted.asked.get().wrapping_add(1));
        match counted.left.get() {
            0 | 1 => counted.left.set(sampled(traffic)),
            left => counted.left.set(left - 1),
        }
    });
}

/// Queries of this thread so far.
#[inline]
pub(super) fn asked() -> u64 {
    COUNTED.with(|counted| counted.asked.get())
}

/// Takes a sample; how many queries it is to the next one.
#[cold]
fn sampled(traffic: &Arc<Traffic>) -> u32 {
    if !is_on() {
        return LEAST_CHANCE;
    }
    DRAWS.with(|draws| {
        let Ok(mut draws) = draws.try_borrow_mut() else {
            return LEAST_CHANCE;
        };
        let sample = Sample {
            traffic: traffic.clone(),
            source: asker::asker().map(Source::from),
            weight: draws.one_in,
            took_ns: None,
        };
        BATCH.with(|batch| match batch.try_borrow_mut().as_deref_mut() {
            Ok(Some(held)) if held.len() < HELD_BACK => held.push(sample),
            _ => send(sample),
        });
        draws.taken(Instant::now());
        draws.next_gap()
    })
}

/// This thread answers in batches: samples wait for [`deliver`], which says how long theirs took.
pub(crate) fn hold_back() {
    BATCH.set(Some(Vec::with_capacity(HELD_BACK)));
}

/// This thread's samples are held for one who serves others on it at other times: until the guard is
/// dropped, or gives them back.
#[derive(Debug)]
pub(super) struct Holding {
    before: Option<Option<Vec<Sample>>>,
}

/// Begins, with what is held already.
pub(super) fn hold(held: Vec<Sample>) -> Holding {
    Holding {
        before: Some(BATCH.replace(Some(held))),
    }
}

impl Holding {
    /// Ends, with what is held.
    pub(super) fn end(mut self) -> Vec<Sample> {
        let before = self.before.take().flatten();
        BATCH.replace(before).unwrap_or_default()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            release(BATCH.replace(before).unwrap_or_default());
        }
    }
}

/// Hands over samples of which it is not known how long they took.
pub(super) fn release(held: Vec<Sample>) {
    held.into_iter().for_each(send);
}

/// Hands over samples that took so long.
pub(super) fn release_after(held: Vec<Sample>, took: Duration) {
    let took_ns = u64::try_from(took.as_nanos()).ok();
    for sample in held {
        send(Sample { took_ns, ..sample });
    }
}

/// What this thread holds has been answered, in `took`.
#[inline]
pub(crate) fn deliver(took: Duration) {
    BATCH.with(|batch| {
        let Ok(mut batch) = batch.try_borrow_mut() else {
            return;
        };
        let Some(held) = batch.as_mut().filter(|held| !held.is_empty()) else {
            return;
        };
        let took_ns = u64::try_from(took.as_nanos()).ok();
        for sample in held.drain(..) {
            send(Sample { took_ns, ..sample });
        }
    });
}

/// Never waits: what there is no room for is lost.
fn send(sample: Sample) {
    if let Err(TrySendError::Full(_)) = QUEUE.0.try_send(sample) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Hands what was sampled to `take`, and says how many samples were lost since the last time.
pub(super) fn drain(mut take: impl FnMut(Sample)) -> u64 {
    let receiver = QUEUE.1.lock();
    // Not for ever, where they come faster than they are taken.
    for sample in receiver.try_iter().take(4 * WAITING) {
        take(sample);
    }
    LOST.swap(0, Ordering::Relaxed)
}

/// A thread's draws.
#[derive(Debug)]
struct Draws {
    random: u64,
    /// One in how many is drawn.
    one_in: u32,
    window: Instant,
    taken: u32,
}

impl Draws {
    fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    fn seeded(seed: u64) -> Self {
        Self {
            random: seed | 1,
            one_in: 1,
            window: Instant::now(),
            taken: 0,
        }
    }

    /// A sample was taken: the chance follows the rate.
    fn taken(&mut self, now: Instant) {
        self.taken += 1;
        let windows = now.duration_since(self.window).as_millis() / WINDOW.as_millis();
        if windows > 0 {
            // Averaged over the windows that have passed.
            if u128::from(self.taken) < u128::from(FEWEST_A_WINDOW) * windows {
                self.one_in = (self.one_in / 2).max(1);
            }
            (self.window, self.taken) = (now, 0);
        } else if self.taken >= MOST_A_WINDOW {
            self.one_in = (self.one_in * 2).min(LEAST_CHANCE);
            (self.window, self.taken) = (now, 0);
        }
    }

    /// How many queries it is to the next sample, this one included: geometrically distributed, as
    /// with a draw for each.
    fn next_gap(&mut self) -> u32 {
        if self.one_in == 1 {
            return 1;
        }
        let miss = 1.0 - 1.0 / f64::from(self.one_in);
        let gap = (self.uniform().ln() / miss.ln()).floor();
        // A float is converted to the nearest number there is.
        (gap as u32).saturating_add(1)
    }

    /// Above 0, at most 1 (xorshift64*).
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let mixed = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((mixed >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gaps_are_those_of_independent_draws() {
        let mut draws = Draws::seeded(7);
        draws.one_in = 16;
        let gaps: Vec<f64> = (0..100_000).map(|_| f64::from(draws.next_gap())).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // A geometric distribution has mean w and variance w (w − 1).
        assert!((mean - 16.0).abs() < 0.3, "{mean}");
        assert!((variance - 240.0).abs() < 12.0, "{variance}");
        draws.one_in = 1;
        assert_eq!(draws.next_gap(), 1);
    }

    #[test]
    fn the_chance_follows_the_rate() {
        let mut draws = Draws::seeded(7);
        let start = draws.window;
        for _ in 0..4 * MOST_A_WINDOW {
            draws.taken(start);
        }
        assert_eq!(draws.one_in, 16);
        for window in 1..=5 {
            draws.taken(start + window * WINDOW);
        }
        assert_eq!(draws.one_in, 1);
    }

    #[test]
    fn an_estimate_is_within_its_stated_deviation() {
        // 300,000 queries, a tenth from one source in a strict rhythm, one in 64 drawn.
        let mut draws = Draws::seeded(42);
        draws.one_in = 64;
        let (mut left, mut estimate, mut variance) = (draws.next_gap(), 0.0, 0.0_f64);
        for query in 0..300_000 {
            left -= 1;
            if left == 0 {
                if query % 10 == 0 {
                    estimate += 64.0;
                    variance += 64.0 * 63.0;
                }
                left = draws.next_gap();
            }
        }
        let off: f64 = estimate - 30_000.0;
        assert!(
            off.abs() < 4.0 * variance.sqrt(),
            "{off} of {}",
            variance.sqrt()
        );
    }

    #[test]
    fn sources_are_addresses_and_networks() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("::ffff:192.0.2.7"), source("192.0.2.7"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        for text in ["192.0.2.7", "2001:db8::1"] {
            assert_eq!(Source::from_bytes(source(text).bytes()), Some(source(text)));
        }
    }
}

//! Room for answers that are kept as bytes, by request: what the kept answers of the DNS and the
//! Handle front have in common. Each thread has its own, so that none waits for another.

use foldhash::fast::RandomState;
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

/// An answer whose memory is known.
pub(super) trait Weighed {
    /// What an entry with it takes beside its key, about, bytes.
    fn bytes(&self) -> usize;
}

/// Weighs entries by their bytes.
#[derive(Debug, Clone)]
pub(super) struct ByBytes;

impl<A: Weighed> Weighter<Box<[u8]>, A> for ByBytes {
    fn weight(&self, key: &Box<[u8]>, answer: &A) -> u64 {
        (key.len() + answer.bytes()) as u64
    }
}

/// Answers by request.
pub(super) type Answers<A> = Cache<Box<[u8]>, A, ByBytes, RandomState>;

/// Room for about `capacity_bytes` of requests and answers, in places for entries of
/// `usual_entry_bytes` to begin with.
pub(super) fn answers<A: Weighed>(capacity_bytes: u64, usual_entry_bytes: u64) -> Answers<A> {
    let estimate = usize::try_from(capacity_bytes / usual_entry_bytes).unwrap_or(usize::MAX);
    Cache::with(
        estimate,
        capacity_bytes,
        ByBytes,
        RandomState::default(),
        DefaultLifecycle::default(),
    )
}

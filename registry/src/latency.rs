//! How long something took, gathered between two looks: a few plain atomics, no histogram, for the
//! average, the greatest and the least that reports name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Gathers latencies from any thread.
#[derive(Debug)]
pub struct Latencies {
    count: AtomicU64,
    sum_ns: AtomicU64,
    max_ns: AtomicU64,
    /// `u64::MAX`: none yet.
    min_ns: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            max_ns: AtomicU64::new(0),
            min_ns: AtomicU64::new(u64::MAX),
        }
    }

    /// One that took so long.
    pub fn record(&self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Several, each of which took so long: those of one batch.
    pub fn record_many(&self, took: Duration, count: u64) {
        if count == 0 {
            return;
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(count, Ordering::Relaxed);
        self.sum_ns
            .fetch_add(ns.saturating_mul(count), Ordering::Relaxed);
        // Extremes are rare: most calls only look.
        if ns > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.fetch_max(ns, Ordering::Relaxed);
        }
        if ns < self.min_ns.load(Ordering::Relaxed) {
            self.min_ns.fetch_min(ns, Ordering::Relaxed);
        }
    }

    /// What was gathered since the last time; `None`: nothing. What another thread is about to add
    /// counts the next time.
    pub fn take(&self) -> Option<Gathered> {
        let count = self.count.swap(0, Ordering::Relaxed);
        if count == 0 {
            return None;
        }
        let max_ns = self.max_ns.swap(0, Ordering::Relaxed);
        let min_ns = self.min_ns.swap(u64::MAX, Ordering::Relaxed);
        let sum_ns = self.sum_ns.swap(0, Ordering::Relaxed);
        Some(Gathered {
            count,
            sum_ns,
            max_ns,
            // A call that had counted and not yet said how long: its sum comes the next time.
            min_ns: min_ns.min(max_ns),
        })
    }
}

/// Latencies of some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    /// How many.
    pub count: u64,
    /// Together, nanoseconds.
    pub sum_ns: u64,
    /// The greatest, nanoseconds.
    pub max_ns: u64,
    /// The least, nanoseconds.
    pub min_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_sums_are_of_what_came_since_the_last_look() {
        let latencies = Latencies::new();
        assert_eq!(latencies.take(), None);
        latencies.record(Duration::from_nanos(50));
        latencies.record_many(Duration::from_nanos(20), 3);
        latencies.record_many(Duration::from_secs(9), 0);
        let expected = Gathered {
            count: 4,
            sum_ns: 110,
            max_ns: 50,
            min_ns: 20,
        };
        assert_eq!(latencies.take(), Some(expected));
        assert_eq!(latencies.take(), None);
        latencies.record(Duration::from_nanos(7));
        assert_eq!(
            latencies.take().map(|it| (it.min_ns, it.max_ns)),
            Some((7, 7))
        );
    }
}

//! When queries are sent: as soon as an answer has come, or by the clock.

use std::time::{Duration, Instant};

/// The clock of a run, in nanoseconds since its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    pub(crate) fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// When a run has asked enough, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Nanoseconds since the start.
    pub(crate) duration_ns: u64,
    /// Queries.
    pub(crate) queries: u64,
}

/// The queries of one sender, one after the other, with the time each is meant to be sent.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Nanoseconds between two queries by the clock; nothing in a closed loop.
    interval_ns: Option<f64>,
    /// When the first is due, nanoseconds.
    first_ns: f64,
    limits: Limits,
    sent: u64,
}

impl Pace {
    /// Sends whenever a place is free.
    pub(crate) fn closed(limits: Limits) -> Self {
        Self {
            interval_ns: None,
            first_ns: 0.0,
            limits,
            sent: 0,
        }
    }

    /// Sends `rate_qps` queries a second, together with `senders` others that take turns with
    /// the one numbered `sender`.
    pub(crate) fn open(limits: Limits, rate_qps: f64, sender: usize, senders: usize) -> Self {
        let all_ns = 1e9 / rate_qps;
        Self {
            interval_ns: Some(all_ns * senders as f64),
            first_ns: all_ns * sender as f64,
            limits,
            sent: 0,
        }
    }

    /// When the next query is due, in nanoseconds; nothing when all have been sent. In a closed
    /// loop it is due at once.
    pub(crate) fn due_ns(&self, now_ns: u64) -> Option<u64> {
        if self.sent >= self.limits.queries {
            return None;
        }
        let due_ns = match self.interval_ns {
            Some(interval_ns) => (self.first_ns + interval_ns * self.sent as f64) as u64,
            None => now_ns,
        };
        (due_ns < self.limits.duration_ns).then_some(due_ns)
    }

    /// Counts one query as sent.
    pub(crate) fn advance(&mut self) {
        self.sent += 1;
    }

    /// How long until the next query is due, if it is due by the clock at all.
    pub(crate) fn wait(&self, now_ns: u64) -> Option<Duration> {
        self.interval_ns?;
        let due_ns = self.due_ns(now_ns)?;
        Some(Duration::from_nanos(due_ns.saturating_sub(now_ns)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    const LIMITS: Limits = Limits {
        duration_ns: 1_000_000_000,
        queries: 5,
    };

    #[test]
    fn the_clock_says_when_a_query_is_meant_to_be_sent_however_late_it_is() {
        let mut pace = Pace::open(LIMITS, 10.0, 1, 2);
        let mut due = Vec::new();
        while let Some(due_ns) = pace.due_ns(900_000_000) {
            due.push(due_ns / 1_000_000);
            pace.advance();
        }
        assert_eq!(due, [100, 300, 500, 700, 900]);
    }

    #[test]
    fn a_closed_loop_ends_by_count_or_by_time() {
        let mut pace = Pace::closed(LIMITS);
        assert_eq!(pace.due_ns(42), Some(42));
        assert_eq!(pace.due_ns(1_000_000_000), None);
        (0..5).for_each(|_| pace.advance());
        assert_eq!(pace.due_ns(43), None);
    }
}

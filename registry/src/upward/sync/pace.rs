//! How fast a backlog is told: not as fast as it goes, so that resolution and registration feel it
//! less. Pure.

use std::time::{Duration, Instant};

/// What of the time without news, or without a stream, may be made up for: what has gathered in a
/// short while is told at once, and a thread that wakes up late does not make the pace slower.
const CREDIT: Duration = Duration::from_millis(400);

/// How fast a backlog is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paces {
    /// Most changes of identifiers a second; 0: any number.
    pub per_s: u32,
    /// The same while the node is busy; 0: no other pace then.
    pub busy_per_s: u32,
}

/// When the next change may go.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    due: Option<Instant>,
}

impl Pace {
    /// How long to wait before the next message, when at `now` one of so many changes goes, of which
    /// `per_s` may a second; 0: any number.
    pub(super) fn wait_after(&mut self, changes: usize, per_s: u32, now: Instant) -> Duration {
        if per_s == 0 {
            return Duration::ZERO;
        }
        let takes = Duration::from_secs_f64(changes as f64 / f64::from(per_s));
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let due = self.due.unwrap_or(earliest).max(earliest) + takes;
        self.due = Some(due);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_takes_its_time_and_news_do_not_wait() {
        let began = Instant::now();
        let (mut pace, mut now) = (Pace::default(), began);
        for _ in 0..100 {
            now += pace.wait_after(50, 1_000, now);
        }
        assert_eq!(now - began, Duration::from_secs(5) - CREDIT);
        // News after an hour go at once, and so do as many as the credit is for.
        now += Duration::from_secs(3_600);
        assert_eq!(pace.wait_after(400, 1_000, now), Duration::ZERO);
        assert_eq!(pace.wait_after(30, 1_000, now), Duration::from_millis(30));
    }

    #[test]
    fn waking_up_late_is_made_up_for() {
        let began = Instant::now();
        let (mut pace, mut now) = (Pace::default(), began);
        for _ in 0..100 {
            now += pace.wait_after(50, 1_000, now) + Duration::from_millis(3);
        }
        assert!(now - began < Duration::from_millis(5_010));
    }

    #[test]
    fn no_pace_waits_for_nothing() {
        let now = Instant::now();
        assert_eq!(
            Pace::default().wait_after(1_000_000, 0, now),
            Duration::ZERO
        );
    }
}

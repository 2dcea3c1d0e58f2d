//! How much fronts have turned away within the last minute: pure.

use std::collections::VecDeque;
use std::time::Duration;

/// What is looked back at.
const WINDOW: Duration = Duration::from_secs(60);
/// Most looks that are kept; checks that follow each other faster share one.
const LOOKS: usize = 600;

/// Counts as they were at some moments, oldest first.
#[derive(Debug, Default)]
pub(super) struct LastMinute {
    looks: VecDeque<(Duration, u64)>,
}

impl LastMinute {
    /// How much a count has grown within the last minute, as it is `count` at a moment: the time since
    /// the process began.
    pub(super) fn grown(&mut self, at: Duration, count: u64) -> u64 {
        let begin = at.saturating_sub(WINDOW);
        // The last look before the minute is what it is counted from.
        while self.looks.get(1).is_some_and(|(then, _)| *then <= begin) {
            self.looks.pop_front();
        }
        let first = self.looks.front().map_or(0, |(_, count)| *count);
        let is_due = self
            .looks
            .back()
            .is_none_or(|(then, _)| at.saturating_sub(*then) >= WINDOW / LOOKS as u32);
        if is_due {
            self.looks.push_back((at, count));
        }
        count.saturating_sub(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_last_minute_that_counts() {
        let mut minute = LastMinute::default();
        let looks = [
            (0, 5, 5),
            (10, 5, 0),
            (20, 105, 100),
            (30, 205, 200),
            (70, 205, 200),
            (80, 205, 100),
            (90, 205, 0),
            (500, 206, 1),
        ];
        for (at_s, count, expected) in looks {
            let grown = minute.grown(Duration::from_secs(at_s), count);
            assert_eq!(grown, expected, "at {at_s} s");
        }
        for at_ms in 0..10_000 {
            minute.grown(Duration::from_millis(500_000 + at_ms * 10), 206);
        }
        assert!(minute.looks.len() <= LOOKS + 2, "{}", minute.looks.len());
    }
}

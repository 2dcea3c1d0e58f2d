//! The time that reports go by. The system's clock may be set back or forward while the node
//! runs; what is reported must be reported once, whatever it does.

/// How far the wall clock may be from where the steady one expects it and still be believed,
/// milliseconds. Slewing by NTP stays far below it.
const TOLERANCE_MS: u64 = 60_000;

/// A time that never goes back, and does not follow a jump of the wall clock before it has lasted for
/// some time: a clock that is set wrong is often set right soon after. A clock that was set back is waited for: the time stands still meanwhile, so that
/// what happens counts to the period that is open.
#[derive(Debug, Clone)]
pub struct ReportClock {
    /// How long a jump must last before it is believed.
    settle_ms: u64,
    /// The latest time it has told.
    high_ms: u64,
    /// Wall and steady clock at one moment, both believed.
    anchor: Option<(u64, u64)>,
    /// A jump that is not believed yet: the same, when it was first seen.
    doubted: Option<(u64, u64)>,
}

impl ReportClock {
    /// A clock that goes on from a time that was told before, milliseconds since the Unix epoch;
    /// 0: none was. A jump is believed after `settle_ms`.
    #[must_use]
    pub fn new(told_ms: u64, settle_ms: u64) -> Self {
        Self {
            settle_ms,
            high_ms: told_ms,
            anchor: None,
            doubted: None,
        }
    }

    /// The time, milliseconds since the Unix epoch, given what the wall clock says and a clock that
    /// runs steadily from anywhere, milliseconds.
    pub fn now_ms(&mut self, wall_ms: u64, steady_ms: u64) -> u64 {
        let is_at = |seen: &(u64, u64)| {
            let expected = seen.0.saturating_add(steady_ms.saturating_sub(seen.1));
            wall_ms.abs_diff(expected) <= TOLERANCE_MS
        };
        let believed = match (self.anchor, self.doubted) {
            (None, _) => true,
            (Some(anchor), _) if is_at(&anchor) => true,
            (_, Some(doubted)) if is_at(&doubted) => {
                steady_ms.saturating_sub(doubted.1) >= self.settle_ms
            }
            _ => {
                self.doubted = Some((wall_ms, steady_ms));
                false
            }
        };
        let now_ms = match self.anchor {
            Some(anchor) if !believed => {
                anchor.0.saturating_add(steady_ms.saturating_sub(anchor.1))
            }
            _ => {
                (self.anchor, self.doubted) = (Some((wall_ms, steady_ms)), None);
                wall_ms
            }
        };
        self.high_ms = self.high_ms.max(now_ms);
        self.high_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_795_795_200_000;
    const HOUR_MS: u64 = 3_600_000;
    const SETTLE_MS: u64 = 300_000;

    #[test]
    fn a_jump_is_believed_when_it_lasts_and_time_never_goes_back() {
        let mut clock = ReportClock::new(0, SETTLE_MS);
        assert_eq!(clock.now_ms(START_MS, 0), START_MS);
        // A month ahead, for two minutes.
        let month = 30 * 24 * HOUR_MS;
        assert_eq!(clock.now_ms(START_MS + month, 1_000), START_MS + 1_000);
        let later = clock.now_ms(START_MS + month + 120_000, 121_000);
        assert_eq!(later, START_MS + 121_000);
        assert_eq!(
            clock.now_ms(START_MS + 130_000, 130_000),
            START_MS + 130_000
        );
        // An hour back, for good: it stands still until the clock has come up.
        assert_eq!(
            clock.now_ms(START_MS + 140_000 - HOUR_MS, 140_000),
            START_MS + 140_000
        );
        let settled = clock.now_ms(START_MS + 440_000 - HOUR_MS, 440_000);
        assert_eq!(settled, START_MS + 140_000);
        let caught_up = clock.now_ms(START_MS + 1_000_000, 1_000_000 + HOUR_MS);
        assert_eq!(caught_up, START_MS + 1_000_000);
    }

    #[test]
    fn a_new_process_goes_on_where_the_last_one_was() {
        let mut clock = ReportClock::new(START_MS, SETTLE_MS);
        assert_eq!(clock.now_ms(START_MS - HOUR_MS, 5), START_MS);
        assert_eq!(clock.now_ms(START_MS - HOUR_MS + 10, 15), START_MS);
    }
}

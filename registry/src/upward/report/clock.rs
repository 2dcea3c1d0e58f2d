//! The time that reports go by. The system's clock may be set back or forward while the node
//! runs; what is reported must be reported once, whatever it does.

/// How far the wall clock may be from where the steady one expects it and still be believed,
/// milliseconds. Slewing by NTP stays far below it.
const TOLERANCE_MS: u64 = 60_000;

/// How far the wall clock may be ahead of the last process's last time when a process begins, and be believed at once,
/// milliseconds: a restart takes no longer, and what an hour's wrong clock leads to is made good in an hour.
const RESTART_MS: u64 = 3_600_000;

/// A time that never goes back, and does not follow a jump of the wall clock before it has lasted for
/// some time: a clock that is set wrong is often set right soon after. So it is with one that is far ahead
/// when the process begins, be it wrong or the node have been off. A clock that was set back is waited for: the
/// time stands still meanwhile, so that what happens counts to the period that is open.
#[derive(Debug, Clone)]
pub struct ReportClock {
    /// How long a jump must last before it is believed.
    settle_ms: u64,
    /// The latest time it has told.
    high_ms: u64,
    /// What the wall clock would have said at the last time of the process before.
    before_ms: Option<u64>,
    /// Wall and steady clock at one moment, both believed.
    anchor: Option<(u64, u64)>,
    /// A jump that is not believed yet: the same, when it was first seen.
    doubted: Option<(u64, u64)>,
    /// When the process began, steadily, if what the wall clock said then is not believed yet.
    began: Option<u64>,
    /// When the process began, once that is known: to be taken.
    leapt_ms: Option<u64>,
}

impl ReportClock {
    /// A clock that goes on from a time that was told before, milliseconds since the Unix epoch;
    /// 0: none was. A jump is believed after `settle_ms`.
    #[must_use]
    pub fn new(told_ms: u64, settle_ms: u64) -> Self {
        Self::after(told_ms, told_ms, settle_ms)
    }

    /// As [`ReportClock::new`], where the wall clock is read in another way than it was when that time was
    /// told: it would have said `before_ms`.
    #[must_use]
    pub fn after(told_ms: u64, before_ms: u64, settle_ms: u64) -> Self {
        Self {
            settle_ms,
            high_ms: told_ms,
            before_ms: (told_ms > 0).then_some(before_ms),
            anchor: None,
            doubted: None,
            began: None,
            leapt_ms: None,
        }
    }

    /// The time, milliseconds since the Unix epoch, given what the wall clock says and a clock that
    /// runs steadily from anywhere, milliseconds.
    pub fn now_ms(&mut self, wall_ms: u64, steady_ms: u64) -> u64 {
        if let Some(before_ms) = self.before_ms.take()
            && wall_ms > before_ms.saturating_add(RESTART_MS)
        {
            self.anchor = Some((before_ms, steady_ms));
            self.began = Some(steady_ms);
        }
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
                if let Some(began) = self.began.take() {
                    self.leapt_ms = Some(wall_ms.saturating_sub(steady_ms.saturating_sub(began)));
                }
                (self.anchor, self.doubted) = (Some((wall_ms, steady_ms)), None);
                wall_ms
            }
        };
        self.high_ms = self.high_ms.max(now_ms);
        self.high_ms
    }

    /// When the process began, milliseconds since the Unix epoch: once, as soon as it is known, where that was
    /// not known at its beginning.
    pub fn take_beginning(&mut self) -> Option<u64> {
        self.leapt_ms.take()
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

    #[test]
    fn a_clock_that_is_far_ahead_at_the_start_is_believed_when_it_lasts() {
        let ahead = START_MS + 30 * 24 * HOUR_MS;
        let mut clock = ReportClock::new(START_MS, SETTLE_MS);
        assert_eq!(clock.now_ms(ahead, 5), START_MS);
        let later = SETTLE_MS - 1_000;
        assert_eq!(clock.now_ms(ahead + later, 5 + later), START_MS + later);
        assert_eq!(clock.take_beginning(), None);
        let settled = SETTLE_MS + 5;
        assert_eq!(clock.now_ms(ahead + settled, settled), ahead + settled);
        assert_eq!(clock.take_beginning(), Some(ahead + 5));
        assert_eq!(clock.take_beginning(), None);
        // It is a clock like any other from then on.
        assert_eq!(
            clock.now_ms(ahead + settled + 9, settled + 9),
            ahead + settled + 9
        );
    }

    #[test]
    fn a_clock_that_is_set_right_after_the_start_has_changed_nothing() {
        let ahead = START_MS + 30 * 24 * HOUR_MS;
        // At once, and to half an hour later, which the node was off for.
        for (off, waits) in [(0, 0), (HOUR_MS / 2, SETTLE_MS)] {
            let mut clock = ReportClock::new(START_MS, SETTLE_MS);
            assert_eq!(clock.now_ms(ahead, 0), START_MS);
            let wall = START_MS + off;
            for steady in (1_000..=waits).step_by(1_000) {
                let now = clock.now_ms(wall + steady, steady);
                assert_eq!(now, START_MS + steady, "{off}");
            }
            let steady = waits + 1_000;
            assert_eq!(clock.now_ms(wall + steady, steady), wall + steady);
            assert_eq!(clock.take_beginning(), Some(wall));
        }
    }

    #[test]
    fn a_restart_is_believed_at_once_and_so_is_a_clock_that_is_read_in_another_way() {
        let mut clock = ReportClock::new(START_MS, SETTLE_MS);
        assert_eq!(clock.now_ms(START_MS + HOUR_MS, 0), START_MS + HOUR_MS);
        assert_eq!(clock.take_beginning(), None);
        // From now on a month is added.
        let month = 30 * 24 * HOUR_MS;
        let mut clock = ReportClock::after(START_MS, START_MS + month, SETTLE_MS);
        let wall = START_MS + month + 5_000;
        assert_eq!(clock.now_ms(wall, 0), wall);
        // It was, and is not any more.
        let mut clock = ReportClock::after(START_MS + month, START_MS, SETTLE_MS);
        assert_eq!(clock.now_ms(START_MS + 5_000, 0), START_MS + month);
        // A node that has never told a time takes the one there is.
        let mut clock = ReportClock::new(0, SETTLE_MS);
        assert_eq!(clock.now_ms(START_MS, 0), START_MS);
    }
}

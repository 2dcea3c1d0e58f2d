//! Which reports are owed: a pure function of how far they were made and of the time.

use idnode_proto::report::{Kind, Period, Unit};

/// How far the reports of one kind were made: all of the periods before one, and of that one those
/// of scopes up to one.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Made {
    /// The first period that is not done, see [`Period::number`].
    #[prost(uint64, tag = "1")]
    pub next: u64,
    /// The key of the last prefix of it that is done; empty: none.
    #[prost(bytes = "vec", tag = "2")]
    pub prefix: Vec<u8>,
    /// Periods that were given up: they ended before anything is kept of.
    #[prost(uint64, tag = "3")]
    pub given_up: u64,
}

impl Made {
    /// Of a node that is docked at a time, milliseconds since the Unix epoch: its first report is
    /// for the period that this is in. `None`: the kind has no periods.
    #[must_use]
    pub fn docked(kind: Kind, now_ms: u64) -> Option<Self> {
        Some(Self {
            next: Period::at(kind.unit()?, now_ms).number(),
            ..Self::default()
        })
    }

    /// The next period that a report is owed for at a time, milliseconds since the Unix epoch; and
    /// how far the kind has come then, which leaves out periods that ended before `keep_from_ms`.
    #[must_use]
    pub fn owed(&self, kind: Kind, now_ms: u64, keep_from_ms: u64) -> Option<(Period, Self)> {
        let unit = kind.unit()?;
        let oldest = Period::at(unit, keep_from_ms).number();
        let mut made = self.clone();
        if made.next < oldest {
            made.given_up += oldest - made.next;
            (made.next, made.prefix) = (oldest, Vec::new());
        }
        let period = Period::numbered(unit, made.next);
        (period.ends_ms() <= now_ms).then_some((period, made))
    }

    /// All of the period is done.
    pub fn finish_period(&mut self) {
        self.next += 1;
        self.prefix.clear();
    }
}

/// The time up to which days are closed, milliseconds since the Unix epoch, where day `open` is
/// measured: what is made of days waits for them, whatever the clock says.
#[must_use]
pub fn closed_ms(kind: Kind, open: u64, now_ms: u64) -> u64 {
    match kind.unit() {
        Some(Unit::Day | Unit::Month) => now_ms.min(Period::numbered(Unit::Day, open).begins_ms()),
        Some(Unit::Hour) | None => now_ms,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::clock::ReportClock;
    use super::*;
    use proptest::prelude::*;

    const SETTLE_MS: u64 = 300_000;
    const START_MS: u64 = 1_795_795_200_000;
    const HOUR_MS: u64 = 3_600_000;
    const KEEP_MS: u64 = 400 * 24 * HOUR_MS;

    /// What happens to a clock.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// It runs, minutes.
        Runs(u64),
        /// It is set, minutes.
        Jumps(i64),
        /// The process begins anew.
        Restarts,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let hour = 60_i64;
        let jumps = prop_oneof![
            Just(-hour),
            Just(hour),
            Just(24 * hour),
            Just(-24 * hour),
            Just(31 * 24 * hour),
            -90_i64..90,
        ];
        let step = prop_oneof![
            4 => (1_u64..600).prop_map(Step::Runs),
            1 => jumps.prop_map(Step::Jumps),
            1 => Just(Step::Restarts),
        ];
        proptest::collection::vec(step, 1..120)
    }

    /// Walks a clock and makes what is owed after each step; each event is counted to the hour that
    /// is open when it happens.
    fn walk(kind: Kind, steps: &[Step]) -> (Vec<u64>, u64, u64) {
        let (mut wall, mut steady) = (START_MS, 0_u64);
        let mut told = 0;
        let mut clock = ReportClock::new(0, SETTLE_MS);
        let mut made = Made::docked(kind, START_MS).unwrap();
        let mut periods = Vec::new();
        for step in steps {
            match step {
                Step::Runs(minutes) => {
                    // A look a minute.
                    for _ in 0..*minutes {
                        (wall, steady) = (wall + 60_000, steady + 60_000);
                        let now = clock.now_ms(wall, steady);
                        assert!(now >= told, "the clock went back");
                        told = now;
                        while let Some((period, next)) =
                            made.owed(kind, now, now.saturating_sub(KEEP_MS))
                        {
                            assert!(period.ends_ms() <= now);
                            periods.push(period.number());
                            made = next;
                            made.finish_period();
                        }
                    }
                }
                Step::Jumps(minutes) => wall = wall.saturating_add_signed(minutes * 60_000),
                Step::Restarts => clock = ReportClock::new(told, SETTLE_MS),
            }
        }
        (periods, made.next, told)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_clock_makes_it_skip_or_double_a_period(steps in steps(), which in 0_usize..5) {
            let kind = Kind::PERIODIC[which];
            let (periods, next, told) = walk(kind, &steps);
            let first = Made::docked(kind, START_MS).unwrap().next;
            let expected: Vec<u64> = (first..next).collect();
            prop_assert_eq!(&periods, &expected, "each once, in order");
            // And none is late: the next one is not over.
            let open = Period::numbered(kind.unit().unwrap(), next);
            prop_assert!(open.ends_ms() > told);
        }
    }

    #[test]
    fn the_named_jumps_leave_every_hour_once() {
        let hour = 60;
        for jump in [-hour, 24 * hour, 31 * 24 * hour] {
            let steps = [
                Step::Runs(90),
                Step::Jumps(jump),
                Step::Runs(300),
                Step::Jumps(-jump),
                Step::Runs(300),
            ];
            let (periods, next, _) = walk(Kind::Enterprises, &steps);
            let first = periods.first().copied().unwrap();
            assert_eq!(periods, (first..next).collect::<Vec<_>>(), "{jump}");
        }
    }

    #[test]
    fn what_is_too_old_is_given_up_and_said() {
        let made = Made::docked(Kind::Statistics, START_MS).unwrap();
        let later = START_MS + 500 * 24 * HOUR_MS;
        let (period, left) = made.owed(Kind::Statistics, later, later - KEEP_MS).unwrap();
        assert_eq!(left.given_up, 100);
        assert_eq!(period.begins_ms(), START_MS + 100 * 24 * HOUR_MS);
    }

    #[test]
    fn days_wait_until_they_are_closed() {
        let open = Period::at(Unit::Day, START_MS).number();
        let now = START_MS + 30 * HOUR_MS;
        assert_eq!(closed_ms(Kind::Statistics, open, now), START_MS);
        assert_eq!(closed_ms(Kind::Service, open, now), START_MS);
        assert_eq!(closed_ms(Kind::Enterprises, open, now), now);
        let made = Made::docked(Kind::Statistics, START_MS).unwrap();
        assert_eq!(
            made.owed(Kind::Statistics, closed_ms(Kind::Statistics, open, now), 0),
            None
        );
    }
}

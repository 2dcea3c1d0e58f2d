//! How much the node is asked at the moment, and the pace that this leaves to a backlog. Pure.

use super::pace::Paces;
use crate::Sequence;
use std::time::{Duration, Instant};

/// From so much a second on the node is busy: resolutions, and entries of the log by their weight.
const BUSY_PER_S: f64 = 20.0;
/// So many resolutions take about as much as an entry of the log.
const ENTRY: f64 = 10.0;
/// A busy node tells at least so many changes for each entry that is new, or it would never be done.
const CATCH_UP: f64 = 2.0;
/// A node is busy for so long after it was last seen to be: longer than two looks, or it would be so by
/// turns.
const HOLD: Duration = Duration::from_millis(600);

/// What was counted at some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) at: Instant,
    /// Resolutions since the process began.
    pub(super) resolutions: u64,
    /// The last entry of the log.
    pub(super) head: Sequence,
}

/// How much is asked, from one look to the next.
#[derive(Debug)]
pub(super) struct Demand {
    paces: Paces,
    last: Option<Counted>,
    /// When it was last seen to be busy.
    busy: Option<Instant>,
}

impl Demand {
    pub(super) fn new(paces: Paces) -> Self {
        Self {
            paces,
            last: None,
            busy: None,
        }
    }

    /// The pace from now on: changes a second; 0: any number. To be asked four times a second.
    pub(super) fn pace(&mut self, now: Counted) -> u32 {
        let entries_per_s = match self.last.replace(now) {
            Some(last) => self.look(last, now),
            None => 0.0,
        };
        let is_busy = self.busy.is_some_and(|busy| now.at - busy < HOLD);
        let Paces { per_s, busy_per_s } = self.paces;
        if !is_busy || busy_per_s == 0 {
            return per_s;
        }
        let most = if per_s == 0 { u32::MAX } else { per_s };
        let catching_up = (entries_per_s * CATCH_UP) as u32;
        busy_per_s.max(catching_up).min(most)
    }

    /// Sees whether the node is busy; entries a second since the last look.
    fn look(&mut self, last: Counted, now: Counted) -> f64 {
        let seconds = (now.at - last.at).as_secs_f64().max(0.001);
        let per_s = |now: u64, last: u64| now.saturating_sub(last) as f64 / seconds;
        let entries_per_s = per_s(now.head, last.head);
        let asked_per_s = per_s(now.resolutions, last.resolutions);
        if asked_per_s + entries_per_s * ENTRY >= BUSY_PER_S {
            self.busy = Some(now.at);
        }
        entries_per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACES: Paces = Paces {
        per_s: 60_000,
        busy_per_s: 10_000,
    };

    /// The paces when so much is asked and registered a second, looked at four times a second.
    fn paces_of(demand: &mut Demand, began: Instant, rates: &[(u64, u64)]) -> Vec<u32> {
        let mut counted = Counted {
            at: began,
            resolutions: 0,
            head: 0,
        };
        demand.pace(counted);
        let looks = rates.iter().map(|(resolutions, entries)| {
            counted.at += Duration::from_millis(250);
            counted.resolutions += resolutions / 4;
            counted.head += entries / 4;
            demand.pace(counted)
        });
        looks.collect()
    }

    fn paces(paces: Paces, rates: &[(u64, u64)]) -> Vec<u32> {
        paces_of(&mut Demand::new(paces), Instant::now(), rates)
    }

    #[test]
    fn a_node_that_is_asked_little_tells_fast() {
        assert_eq!(paces(PACES, &[(0, 0), (16, 0), (0, 0)]), [60_000; 3]);
    }

    #[test]
    fn a_node_that_is_asked_or_registers_tells_slowly_and_for_a_while_after() {
        assert_eq!(paces(PACES, &[(20, 0)]), [10_000]);
        assert_eq!(paces(PACES, &[(0, 4)]), [10_000]);
        let rates = [(5_000, 0), (0, 0), (0, 0), (0, 0)];
        assert_eq!(paces(PACES, &rates), [10_000, 10_000, 10_000, 60_000]);
    }

    #[test]
    fn what_is_registered_is_told_at_least_twice_as_fast() {
        assert_eq!(paces(PACES, &[(0, 20_000)]), [40_000]);
        assert_eq!(paces(PACES, &[(0, 200_000)]), [60_000]);
        let any = Paces { per_s: 0, ..PACES };
        assert_eq!(paces(any, &[(0, 200_000)]), [400_000]);
    }

    #[test]
    fn no_pace_of_a_busy_node_is_the_usual_one() {
        let even = Paces {
            busy_per_s: 0,
            ..PACES
        };
        assert_eq!(paces(even, &[(5_000, 1_000)]), [60_000]);
        let any = Paces { per_s: 0, ..PACES };
        assert_eq!(paces(any, &[(0, 0), (5_000, 0)]), [0, 10_000]);
    }

    #[test]
    fn counts_that_went_back_are_nothing() {
        let mut demand = Demand::new(PACES);
        let at = Instant::now();
        let counted = |resolutions, after_ms| Counted {
            at: at + Duration::from_millis(after_ms),
            resolutions,
            head: 0,
        };
        demand.pace(counted(1_000, 0));
        assert_eq!(
            demand.pace(counted(10, 250)),
            60_000,
            "a prefix was removed"
        );
        assert_eq!(demand.pace(counted(10, 250)), 60_000, "twice at once");
    }
}

//! How likely it is that what the hot cache has not is in the store's memory. A read that finds
//! out that the disk must be asked has searched in vain, and the one that asks it searches again:
//! where most do, as when the store is far larger than memory and everything in it is asked for,
//! it is better left out.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Certainty.
const ONE: u32 = 1 << 16;
/// From this on asking memory is taken to pay where a read is handed over by itself: what a search
/// costs of all that follows when it was in vain, as an estimate.
const WORTHWHILE: u32 = ONE / 4;
/// The same where reads are handed over together: that costs little then, and most of what is left
/// is the search, which is made twice. Between never asking and this lay 4 % of a query's cost, between
/// this and [`WORTHWHILE`] 11 %, when a tenth of the store fitted into memory.
const WORTHWHILE_TOGETHER: u32 = ONE / 4 * 3;
/// So many reads at once share what handing them over costs.
const TOGETHER: usize = 8;
/// How much one outcome counts against those before it: one in so many.
const WEIGHT: u32 = 64;
/// Where asking does not pay, one in so many asks all the same, to learn whether it does again.
const TRIAL: u32 = 4;
/// The same where reads are handed over together, which happens when there are many of them.
const TRIAL_TOGETHER: u32 = 64;

/// What was learnt of the last outcomes. Threads share it without care: an outcome that gets lost
/// between them changes nothing.
#[derive(Debug)]
pub(crate) struct Odds {
    /// The share of those who asked memory that it had an answer for, of [`ONE`].
    known: AtomicU32,
    turn: AtomicU32,
    /// Whether the last reads of the disk were handed over together.
    together: AtomicBool,
}

impl Default for Odds {
    fn default() -> Self {
        Self {
            known: AtomicU32::new(ONE),
            turn: AtomicU32::new(0),
            together: AtomicBool::new(false),
        }
    }
}

impl Odds {
    /// Whether to ask memory now.
    pub fn worth_asking(&self) -> bool {
        let (worthwhile, trial) = if self.together.load(Ordering::Relaxed) {
            (WORTHWHILE_TOGETHER, TRIAL_TOGETHER)
        } else {
            (WORTHWHILE, TRIAL)
        };
        if self.known.load(Ordering::Relaxed) >= worthwhile {
            return true;
        }
        let turn = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        self.turn.store(turn, Ordering::Relaxed);
        turn.is_multiple_of(trial)
    }

    /// Notes whether memory had an answer.
    pub fn learn(&self, known: bool) {
        let before = self.known.load(Ordering::Relaxed);
        let gain = if known { ONE / WEIGHT } else { 0 };
        self.known
            .store(before - before / WEIGHT + gain, Ordering::Relaxed);
    }

    /// Notes how many reads of the disk were handed over at once.
    pub fn handed_over(&self, reads: usize) {
        self.together.store(reads >= TOGETHER, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(odds: &Odds, times: u32, known: bool) -> u32 {
        let mut asked = 0;
        for _ in 0..times {
            if odds.worth_asking() {
                asked += 1;
                odds.learn(known);
            }
        }
        asked
    }

    #[test]
    fn what_is_never_known_is_seldom_asked_and_soon_again_when_it_is() {
        let odds = Odds::default();
        assert_eq!(asked(&odds, 60, true), 60);
        let vain = asked(&odds, 1_600, false);
        assert!((400..600).contains(&vain), "{vain} of 1600 asked in vain");
        assert_eq!(asked(&odds, 160, false), 40);
        // One in four tries, until a quarter of the last ones knew.
        asked(&odds, 4 * 64, true);
        assert_eq!(asked(&odds, 100, true), 100);
    }

    #[test]
    fn what_is_read_together_is_asked_for_when_most_is_known() {
        let odds = Odds::default();
        for turn in 0..1_000 {
            odds.learn(turn % 2 == 0);
        }
        assert_eq!(asked(&odds, 100, true), 100);
        for turn in 0..1_000 {
            odds.learn(turn % 2 == 0);
        }
        odds.handed_over(TOGETHER);
        assert!(asked(&odds, 640, false) <= 10);
        // One in 64 tries, until three quarters of the last ones knew.
        asked(&odds, 64 * 128, true);
        assert_eq!(asked(&odds, 100, true), 100);
        for turn in 0..1_000 {
            odds.learn(turn % 2 == 0);
        }
        odds.handed_over(1);
        assert_eq!(asked(&odds, 100, true), 100);
    }

    #[test]
    fn a_third_that_is_known_is_worth_it() {
        let odds = Odds::default();
        for turn in 0..10_000 {
            assert!(odds.worth_asking(), "at {turn}");
            odds.learn(turn % 3 == 0);
        }
    }
}

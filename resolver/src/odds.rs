//! How likely it is that what the hot cache has not is in the store's memory. A read that finds
//! out that the disk must be asked has searched in vain, and the one that asks it searches again:
//! where most do, as when the store is far larger than memory and everything in it is asked for,
//! it is better left out.

use std::sync::atomic::{AtomicU32, Ordering};

/// Certainty.
const ONE: u32 = 1 << 16;
/// From this on asking memory is taken to pay: what a search costs of all that follows when it was
/// in vain, as an estimate.
const WORTHWHILE: u32 = ONE / 4;
/// How much one outcome counts against those before it: one in so many.
const WEIGHT: u32 = 64;
/// Where asking does not pay, one in so many asks all the same, to learn whether it does again.
const TRIAL: u32 = 4;

/// What was learnt of the last outcomes. Threads share it without care: an outcome that gets lost
/// between them changes nothing.
#[derive(Debug)]
pub(crate) struct Odds {
    /// The share of those who asked memory that it had an answer for, of [`ONE`].
    known: AtomicU32,
    turn: AtomicU32,
}

impl Default for Odds {
    fn default() -> Self {
        Self {
            known: AtomicU32::new(ONE),
            turn: AtomicU32::new(0),
        }
    }
}

impl Odds {
    /// Whether to ask memory now.
    pub fn worth_asking(&self) -> bool {
        if self.known.load(Ordering::Relaxed) >= WORTHWHILE {
            return true;
        }
        let turn = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        self.turn.store(turn, Ordering::Relaxed);
        turn.is_multiple_of(TRIAL)
    }

    /// Notes whether memory had an answer.
    pub fn learn(&self, known: bool) {
        let before = self.known.load(Ordering::Relaxed);
        let gain = if known { ONE / WEIGHT } else { 0 };
        self.known
            .store(before - before / WEIGHT + gain, Ordering::Relaxed);
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
    fn a_third_that_is_known_is_worth_it() {
        let odds = Odds::default();
        for turn in 0..10_000 {
            assert!(odds.worth_asking(), "at {turn}");
            odds.learn(turn % 3 == 0);
        }
    }
}

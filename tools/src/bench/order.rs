//! Which question is asked next.

use std::sync::Arc;

/// How questions are drawn from the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Uniformly at random, each draw independent of the others
    Random,
    /// Every question once, in random order, then the same order again
    Shuffle,
    /// As they stand in the file, again and again
    File,
}

/// The draws of one sender, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) enum Draws {
    /// Independent draws among `count`.
    Random { state: u64, count: u64 },
    /// Every `step`th place of a permutation, or of the file where there is none.
    Pass {
        places: Option<Arc<[u32]>>,
        next: usize,
        step: usize,
        count: usize,
    },
}

impl Draws {
    /// The draws of `senders` senders that share the questions `0..count`. In a pass over all
    /// of them no question is asked twice, by whichever sender; passes begin at place `skip`.
    pub(crate) fn split(
        order: Order,
        count: u32,
        seed: u64,
        skip: u32,
        senders: usize,
    ) -> Vec<Self> {
        let places = match order {
            Order::Shuffle => Some(permutation(count, seed)),
            Order::Random | Order::File => None,
        };
        (0..senders)
            .map(|sender| match order {
                Order::Random => Self::Random {
                    state: mix(seed ^ mix(sender as u64 + 1)),
                    count: u64::from(count),
                },
                Order::Shuffle | Order::File => Self::Pass {
                    places: places.clone(),
                    next: (skip as usize + sender) % (count as usize).max(1),
                    step: senders,
                    count: count as usize,
                },
            })
            .collect()
    }

    /// The next question's number.
    pub(crate) fn next(&mut self) -> u32 {
        match self {
            Self::Random { state, count } => below(state, *count) as u32,
            Self::Pass {
                places,
                next,
                step,
                count,
            } => {
                let place = *next;
                *next += *step;
                if *next >= *count {
                    *next -= *count;
                }
                match places {
                    Some(places) => places.get(place).copied().unwrap_or(0),
                    None => place as u32,
                }
            }
        }
    }
}

/// All of `0..count`, in the order of the seed (Fisher and Yates).
fn permutation(count: u32, seed: u64) -> Arc<[u32]> {
    let mut places: Vec<u32> = (0..count).collect();
    let mut state = mix(seed);
    for last in (1..places.len()).rev() {
        let other = below(&mut state, last as u64 + 1) as usize;
        places.swap(last, other);
    }
    places.into()
}

/// A draw among `0..count`; its bias of `count / 2^64` does not matter here.
pub(crate) fn below(state: &mut u64, count: u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    ((u128::from(mix(*state)) * u128::from(count)) >> 64) as u64
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_shuffled_pass_asks_everything_once_whoever_sends() {
        let mut senders = Draws::split(Order::Shuffle, 1000, 7, 990, 3);
        let mut asked = BTreeSet::new();
        for turn in 0..1000 {
            assert!(asked.insert(senders[turn % 3].next()));
        }
        let first: Vec<u32> = (0..9).map(|turn| senders[turn % 3].next()).collect();
        assert!(first.windows(2).any(|pair| pair[0] > pair[1]), "{first:?}");
    }

    #[test]
    fn random_draws_follow_the_seed_and_reach_everything() {
        let draw = |seed| {
            let mut draws = Draws::split(Order::Random, 50, seed, 0, 1).remove(0);
            (0..2000).map(|_| draws.next()).collect::<Vec<u32>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1).into_iter().collect::<BTreeSet<_>>().len(), 50);
    }
}

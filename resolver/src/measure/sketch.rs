//! The most frequent sources of a prefix in bounded memory: Space-Saving (Metwally, Agrawal, El
//! Abbadi, 2005). With `k` places and `N` queries, no source with more than `N / k` of them is
//! missing, and each count is too high by at most what its place had when it was taken over, which
//! is known for each and at most `N / k`.

use super::sampler::Source;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Places for sources of a prefix.
pub(super) const PLACES: usize = 128;

/// What is known of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Count {
    /// Queries, estimated.
    pub(super) queries: u64,
    /// How much of it may be others'.
    pub(super) over: u64,
    /// Of the estimate, by sampling.
    pub(super) variance: f64,
}

/// The sources of one prefix on one day.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch {
    counts: HashMap<Source, Count, RandomState>,
    /// There was no memory for more places.
    is_cut: bool,
}

impl Sketch {
    /// Counts a sample that stands for so many queries; whether it has taken a place more, of which
    /// it has one in any case. `may_grow`: there is memory for one.
    pub(super) fn add(&mut self, source: Source, weight: u32, may_grow: bool) -> bool {
        let weight = u64::from(weight);
        // As the sum of independent draws, see `sampler`.
        let variance = (weight * weight.saturating_sub(1)) as f64;
        if let Some(count) = self.counts.get_mut(&source) {
            count.queries += weight;
            count.variance += variance;
            return false;
        }
        let has_room = self.counts.len() < PLACES;
        let grows = has_room && (may_grow || self.counts.is_empty());
        self.is_cut |= has_room && !grows;
        let taken_over = match grows {
            true => Count::default(),
            false => self.take_least(),
        };
        let count = Count {
            queries: taken_over.queries + weight,
            over: taken_over.queries,
            // What is taken over is an estimate, too.
            variance: taken_over.variance + variance,
        };
        self.counts.insert(source, count);
        grows
    }

    /// How many sources it tells apart.
    pub(super) fn places(&self) -> usize {
        match self.is_cut {
            true => self.counts.len(),
            false => PLACES,
        }
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.counts.len()
    }

    /// Empties the place with the fewest queries; what it had.
    fn take_least(&mut self) -> Count {
        let counts = self.counts.iter();
        let least = counts.min_by_key(|(source, it)| (it.queries, **source));
        let least = least.map(|(source, _)| *source);
        least
            .and_then(|source| self.counts.remove(&source))
            .unwrap_or_default()
    }

    /// One whose counts were kept, with how many places it had ([`Self::places`]).
    pub(super) fn kept(counts: impl Iterator<Item = (Source, Count)>, places: usize) -> Self {
        Self {
            counts: counts.collect(),
            is_cut: places < PLACES,
        }
    }

    /// Every source that has a place.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Source, Count)> {
        self.counts.iter().map(|(source, count)| (*source, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(number: u32) -> Source {
        Source::V4(number.to_be_bytes())
    }

    proptest! {
        #[test]
        fn counts_are_within_their_bounds(
            frequent in proptest::collection::vec(0_u32..40, 0..4_000),
            rare in proptest::collection::vec(0_u32..100_000, 0..4_000),
            turn in any::<bool>(),
        ) {
            let mut sketch = Sketch::default();
            let mut truth: HashMap<Source, u64> = HashMap::new();
            let mut asked: Vec<u32> = [frequent, rare].concat();
            if turn {
                asked.reverse();
            }
            for number in &asked {
                sketch.add(source(*number), 1, true);
                *truth.entry(source(*number)).or_default() += 1;
            }
            let bound = (asked.len() / PLACES) as u64;
            let counts: HashMap<_, _> = sketch.counts().collect();
            prop_assert!(counts.len() <= PLACES);
            for (source, count) in &counts {
                let exact = truth.get(source).copied().unwrap_or(0);
                prop_assert!(exact <= count.queries && count.queries - count.over <= exact);
                prop_assert!(count.over <= bound);
                prop_assert_eq!(count.variance, 0.0);
            }
            for (source, exact) in truth {
                prop_assert!(exact <= bound || counts.contains_key(&source));
            }
            let sum: u64 = counts.values().map(|count| count.queries).sum();
            prop_assert_eq!(sum, asked.len() as u64);
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_over_brings_its_variance(
            samples in proptest::collection::vec((0_u32..1_000, 0_u32..7), 0..4_000),
        ) {
            let mut sketch = Sketch::default();
            let (mut queries, mut variance) = (0, 0.0);
            for (number, power) in samples {
                let weight = 1 << power;
                sketch.add(source(number), weight, true);
                queries += u64::from(weight);
                variance += f64::from(weight * (weight - 1));
            }
            let counts = sketch.counts().map(|(_, count)| (count.queries, count.variance));
            let sums = counts.fold((0, 0.0), |sums, it| (sums.0 + it.0, sums.1 + it.1));
            prop_assert_eq!(sums, (queries, variance));
        }
    }

    #[test]
    fn few_sources_are_counted_exactly() {
        let mut sketch = Sketch::default();
        for number in 0..PLACES as u32 {
            assert!(sketch.add(source(number), 3, true));
            assert!(!sketch.add(source(number), 2, true));
        }
        assert_eq!(sketch.counts().count(), PLACES);
        let expected = Count {
            queries: 5,
            over: 0,
            variance: 8.0,
        };
        assert!(sketch.counts().all(|(_, count)| count == expected));
    }

    #[test]
    fn without_memory_there_is_one_place() {
        let mut sketch = Sketch::default();
        assert!(sketch.add(source(1), 1, false));
        assert!(!sketch.add(source(2), 1, false));
        assert_eq!((sketch.places(), sketch.taken()), (1, 1));
        let (found, count) = sketch
            .counts()
            .next()
            .unwrap_or((source(0), Count::default()));
        assert_eq!((found, count.queries, count.over), (source(2), 2, 1));
        // After a restart it still has no more.
        let again = Sketch::kept(sketch.counts(), sketch.places());
        assert_eq!((again.places(), again.taken()), (1, 1));
    }
}

//! Which numbers have been seen, in little room where they follow one another.

use std::collections::BTreeMap;

/// A set of numbers, kept as the runs of those that follow one another.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The last number of each run by its first.
    runs: BTreeMap<u32, u32>,
}

impl Seen {
    /// Takes a number in; `false`: it is there already.
    pub fn insert(&mut self, number: u32) -> bool {
        let before = self.runs.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let joined = before.filter(|(_, last)| *last + 1 == number);
        let first = joined.map_or(number, |(first, _)| first);
        let next = number.checked_add(1);
        let after = next.and_then(|next| self.runs.remove(&next));
        self.runs.insert(first, after.unwrap_or(number));
        true
    }

    /// Nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How much room it takes.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(
            prop_oneof![0..40_u32, u32::MAX - 40..=u32::MAX], 0..200))
        {
            let (mut seen, mut expected) = (Seen::default(), HashSet::new());
            for number in numbers {
                prop_assert_eq!(seen.insert(number), expected.insert(number), "{}", number);
                let follows = |it: &&u32| !it.checked_sub(1).is_some_and(|it| expected.contains(&it));
                prop_assert_eq!(seen.runs(), expected.iter().filter(follows).count());
            }
            prop_assert_eq!(seen.is_empty(), expected.is_empty());
        }
    }
}

//! What came of one city's questions.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::questions::Verdict;
use crate::province::city::City;
use crate::province::error::Failure;

/// Latencies are kept up to this, microseconds.
const LONGEST_US: u64 = 60_000_000;
/// Wrong answers that are told in words, a city.
const MAX_EXAMPLES: usize = 5;

/// What one city's clients have seen.
#[derive(Debug)]
pub(super) struct Tally {
    /// Whose clients.
    pub(super) city: City,
    /// Questions sent.
    pub(super) sent: u64,
    /// Questions without an answer in time.
    pub(super) lost: u64,
    /// Answers that are what was registered.
    pub(super) right: u64,
    /// Answers that are something else.
    pub(super) wrong: u64,
    /// Some of them in words.
    pub(super) examples: Vec<String>,
    /// Failures that say so, by response code.
    pub(super) refused: BTreeMap<u32, u64>,
    /// By whose identifier it was: from when a question was due to its right answer, microseconds.
    pub(super) latency_us: BTreeMap<City, Histogram<u64>>,
    /// How much later than due questions were sent, microseconds: the generator's own doing, and
    /// part of the latencies.
    pub(super) late_us: Histogram<u64>,
}

/// A histogram of microseconds.
///
/// # Errors
/// None: the bounds are right.
pub(super) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).map_err(|e| Failure::Program(e.to_string()))
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`histogram`].
    pub(super) fn new(city: City) -> Result<Self, Failure> {
        Ok(Self {
            city,
            sent: 0,
            lost: 0,
            right: 0,
            wrong: 0,
            examples: Vec::new(),
            refused: BTreeMap::new(),
            latency_us: BTreeMap::new(),
            late_us: histogram()?,
        })
    }

    /// Counts an answer that came so long after its question was due.
    ///
    /// # Errors
    /// As [`histogram`].
    pub(super) fn answer(
        &mut self,
        of: City,
        verdict: Verdict,
        latency_us: u64,
    ) -> Result<(), Failure> {
        match verdict {
            Verdict::Right => {
                self.right += 1;
                let latencies = match self.latency_us.entry(of) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => entry.insert(histogram()?),
                };
                latencies.saturating_record(latency_us);
            }
            Verdict::Refused(code) => *self.refused.entry(code).or_default() += 1,
            Verdict::Wrong(what) => {
                self.wrong += 1;
                if self.examples.len() < MAX_EXAMPLES {
                    self.examples.push(format!("{}: {what}", self.city.name()));
                }
            }
        }
        Ok(())
    }
}

//! What the DNS front counts: metric handles, made once.

use super::reply::Outcome;
use metrics::{Counter, Histogram};
use std::time::Duration;

/// The metrics of the DNS front.
pub(super) struct Meters {
    outcomes: [Counter; Outcome::ALL.len()],
    latency_us: Histogram,
    /// Queries refused because too many wait for the disk.
    pub(super) waiting_bound: Counter,
    /// Answers that did not fit and were truncated.
    pub(super) truncated: Counter,
    /// Answers whose records had been encoded before.
    pub(super) repeated: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    pub(super) fn new() -> Self {
        let bound = |bound| metrics::counter!("idnode_bound_hits_total", "bound" => bound);
        Self {
            outcomes: Outcome::ALL.map(|(_, outcome)| {
                metrics::counter!("idnode_requests_total", "front" => "dns", "outcome" => outcome)
            }),
            latency_us: metrics::histogram!("idnode_request_latency_us", "front" => "dns"),
            waiting_bound: bound("dns_waiting_queries"),
            truncated: bound("dns_answer_size"),
            repeated: metrics::counter!("idnode_dns_kept_answers_total"),
        }
    }

    /// Counts one answer.
    pub(super) fn count(&self, outcome: Outcome) {
        self.count_many(outcome, 1);
    }

    /// Counts several answers.
    pub(super) fn count_many(&self, outcome: Outcome, answers: u64) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.increment(answers);
        }
    }

    /// Records how long each of several answers took.
    pub(super) fn took(&self, time: Duration, answers: usize) {
        self.latency_us
            .record_many(time.as_secs_f64() * 1e6, answers);
    }
}

//! What is counted, with handles made once: looking one up by name costs as much as a resolution.

use crate::measure;
use metrics::{Counter, Histogram, counter, histogram};
use std::time::Duration;

/// Defines an enum whose variants are values of a metric's label.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            const LABELS: &[&str] = &[$($label),*];
        }
    };
}

labels! {
    /// How a request ended, the label `outcome`.
    Outcome {
        /// Values.
        Found = "found",
        /// The identifier is there, none of its values is asked for and public.
        NoValues = "no_values",
        /// Not registered.
        NotFound = "not_found",
        /// Deleted.
        Deleted = "deleted",
        /// The prefix is not registered here, not active, or served elsewhere without referral.
        NotResponsible = "not_responsible",
        /// Served elsewhere.
        Referral = "referral",
        /// Site information.
        Site = "site",
        /// Not a request, or one with a wrong part.
        Invalid = "invalid",
        /// An operation that is not done here.
        Unsupported = "unsupported",
        /// An operation that was done.
        Done = "done",
        /// The client is to prove who it is.
        Challenged = "challenged",
        /// It has not, or may not.
        Denied = "denied",
        /// An operation that the registry refuses.
        Refused = "refused",
        /// A bound was reached.
        Busy = "busy",
        /// The node failed.
        Failed = "failed",
        /// No answer was due.
        Ignored = "ignored",
    }
}

labels! {
    /// A bound that can be reached, the label `bound`.
    Bound {
        /// [`super::HandleOptions::max_udp_in_flight`].
        UdpInFlight = "handle_udp_in_flight",
        /// [`super::HandleOptions::udp_long_answer_bytes_per_s`].
        UdpLongAnswers = "handle_udp_long_answers",
        /// [`super::HandleOptions::reassembly`], of one source or of all.
        UdpReassembly = "handle_udp_reassembly",
        /// [`super::HandleOptions::max_tcp_connections`].
        TcpConnections = "handle_tcp_connections",
        /// [`super::HandleOptions::tcp_write`].
        TcpWrite = "handle_tcp_write",
        /// Answers that wait for their signatures.
        Signatures = "handle_signatures",
        /// Sessions, of one network or of all, that administrators use.
        Sessions = "handle_sessions",
        /// Dumps and retrievals of transactions at once.
        Mirrors = "handle_mirrors",
        /// How long a TLS handshake may take.
        TlsHandshakes = "handle_tls_handshakes",
        /// A frame above the message limit.
        MessageLength = "handle_message_length",
        /// [`crate::front::Core::request_deadline`].
        Deadline = "handle_request_deadline",
    }
}

/// How many of the outcomes, from the first on, are resolutions'.
const RESOLUTIONS: usize = Outcome::Referral as usize + 1;

/// The front's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    outcomes: Vec<Counter>,
    bounds: Vec<Counter>,
    latency_us: Histogram,
    /// Answers that were kept encoded.
    repeated: Counter,
}

/// What was answered since it was last counted: cheaper to gather than to count one by one.
#[derive(Debug, Default)]
pub(super) struct Tally {
    outcomes: [u64; Outcome::LABELS.len()],
    repeated: u64,
}

impl Tally {
    pub(super) fn answered(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// The same of an answer that was kept encoded.
    pub(super) fn repeated(&mut self, outcome: Outcome) {
        self.answered(outcome);
        self.repeated += 1;
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let outcome = |label: &&'static str| counter!("idnode_requests_total", "front" => "handle", "outcome" => *label);
        let bound = |label: &&'static str| counter!("idnode_bound_hits_total", "bound" => *label);
        Self {
            outcomes: Outcome::LABELS.iter().map(outcome).collect(),
            bounds: Bound::LABELS.iter().map(bound).collect(),
            latency_us: histogram!("idnode_request_latency_us", "front" => "handle"),
            repeated: counter!("idnode_handle_kept_answers_total"),
        }
    }

    /// Counts what was answered in `took` together; the tally is empty then.
    pub(super) fn batch(&self, tally: &mut Tally, took: Duration) {
        let mut answers = 0;
        let resolutions = tally.outcomes.iter().take(RESOLUTIONS).sum();
        measure::resolved(took, resolutions);
        for (counter, count) in self.outcomes.iter().zip(&mut tally.outcomes) {
            if *count > 0 {
                answers += *count;
                counter.increment(std::mem::take(count));
            }
        }
        if answers > 0 {
            let took_us = took.as_secs_f64() * 1e6;
            self.latency_us.record_many(took_us, answers as usize);
        }
        if tally.repeated > 0 {
            self.repeated.increment(std::mem::take(&mut tally.repeated));
        }
    }

    /// Counts a request and how long it took.
    pub(super) fn request(&self, outcome: Outcome, took: Duration) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.increment(1);
        }
        self.latency_us.record(took.as_secs_f64() * 1e6);
        if (outcome as usize) < RESOLUTIONS {
            measure::resolved(took, 1);
        }
    }

    /// What counts how often a bound was reached.
    pub(super) fn counter(&self, bound: Bound) -> Counter {
        let counter = self.bounds.get(bound as usize).cloned();
        counter.unwrap_or_else(Counter::noop)
    }

    /// Counts that a bound was reached.
    pub(super) fn bound(&self, bound: Bound) {
        if let Some(counter) = self.bounds.get(bound as usize) {
            counter.increment(1);
        }
    }
}

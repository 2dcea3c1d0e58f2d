//! What reports are computed from: resolutions by prefix, their sources, latencies.
//!
//! | module | holds |
//! |---|---|
//! | `asker` | who asks, where a resolution is counted |
//! | `sampler` | which queries' sources are looked at: thread by thread, without locks |
//! | `sketch` | the most frequent sources of a prefix, in bounded memory |
//! | `day` | what is gathered of one prefix on one day |
//! | [`gather`] | all of it once a second, into days that the journal keeps |
//!
//! On the way of a query there are two counters that are there anyway, a thread's own number that
//! counts down to the next sample, and a store of its source's address. All else is done once a
//! batch, or by the thread that gathers.

pub(crate) mod asker;
mod day;
pub mod gather;
mod sampler;
mod sketch;

pub(crate) use sampler::{deliver, hold_back};

use idnode_registry::latency::Latencies;
use idnode_registry::prefix_table::Traffic;
use std::sync::Arc;
use std::time::Duration;

/// How long resolutions took, on all fronts.
static RESOLVING: Latencies = Latencies::new();

/// Counts a resolution under a prefix, and now and then looks at its source.
#[inline]
pub(crate) fn count(traffic: &Arc<Traffic>, success: bool) {
    traffic.count(success);
    sampler::tick(traffic);
}

/// Resolutions that took so long, each: those of one batch.
pub(crate) fn resolved(took: Duration, count: u64) {
    RESOLVING.record_many(took, count);
}

//! What reports are computed from: resolutions by prefix, their sources, latencies.
//!
//! | module | holds |
//! |---|---|
//! | `asker` | who asks, where a resolution is counted, and how often |
//! | `sampler` | which queries' sources are looked at: thread by thread, without locks |
//! | `sketch` | the most frequent sources of a prefix, in bounded memory |
//! | `day` | what is gathered of one prefix on one day |
//! | [`gather`] | all of it once a second, into days that the journal keeps |
//!
//! On the way of a query there are two counters that are there anyway, two numbers of its thread (how
//! many it has asked, and how many are left to the next sample), and a store of its source's address.
//! All else is done once a batch, once a time that a task goes on, or by the thread that gathers. A sample waits where it was
//! taken, with the batch or the task, until that has its answer: so its prefix learns how long it took, on every front.

pub(crate) mod asker;
mod day;
pub mod gather;
mod sampler;
mod sketch;

pub(crate) use asker::Asked;
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

/// How many resolutions this thread has asked the core for, in all its life: what lies between two
/// looks, without waiting in between, is what was asked meanwhile.
#[inline]
pub(crate) fn asked() -> u64 {
    sampler::asked()
}

/// Resolutions that took so long, each: those of one batch. Samples of them that this thread or this task
/// holds took as long.
pub(crate) fn resolved(took: Duration, count: u64) {
    deliver(took);
    record(took, count);
}

/// Resolutions that were asked for elsewhere, each of which took so long.
pub(crate) fn answered(took: Duration, asked: Asked) {
    record(took, asked.answered(took));
}

fn record(took: Duration, count: u64) {
    if count > 0 && sampler::is_on() {
        RESOLVING.record_many(took, count);
    }
}

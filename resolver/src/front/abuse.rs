//! What fronts turn away because whoever it comes from does too much of it: guesses at keys, and
//! more than a network may ask for or be sent. Counted for the node's check of whether somebody is
//! at it; single bounds have metrics of their own.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since this process began.
static TURNED_AWAY: AtomicU64 = AtomicU64::new(0);

/// One more was turned away.
pub(crate) fn turned_away() {
    TURNED_AWAY.fetch_add(1, Ordering::Relaxed);
}

/// How many were.
pub(crate) fn count() -> u64 {
    TURNED_AWAY.load(Ordering::Relaxed)
}

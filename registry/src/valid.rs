//! Credentials that were found valid: a connection's is asked for with each of its requests.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most that are kept; beyond it all are forgotten.
const MOST: usize = 4_096;

/// Ids of credentials that are registered and not revoked, until any credential changes.
#[derive(Debug, Default)]
pub(crate) struct Valid {
    changes: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Since this change.
    since: u64,
    ids: HashSet<Box<str>>,
}

impl Valid {
    /// A credential has changed. Before the change is acknowledged.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of changes so far: what is read afterwards holds since then.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether a credential is known to be valid.
    pub fn contains(&self, id: &str) -> bool {
        let found = self.found.lock();
        found.since == self.changes() && found.ids.contains(id)
    }

    /// Keeps one that was found valid, by what was read after so many changes.
    pub fn note(&self, id: &str, changes: u64) {
        let mut found = self.found.lock();
        if found.since < changes || found.ids.len() >= MOST {
            found.ids.clear();
            found.since = changes;
        }
        if found.since == changes {
            found.ids.insert(id.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_holds_until_the_next_change() {
        let valid = Valid::default();
        assert!(!valid.contains("a"));
        valid.note("a", valid.changes());
        assert!(valid.contains("a") && !valid.contains("b"));
        let before = valid.changes();
        valid.changed();
        assert!(!valid.contains("a"));
        // Read before the change, noted after it.
        valid.note("a", before);
        assert!(!valid.contains("a"));
        valid.note("b", valid.changes());
        assert!(valid.contains("b") && !valid.contains("a"));
        valid.note("a", before);
        assert!(valid.contains("b") && !valid.contains("a"));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let valid = Valid::default();
        for id in 0..=MOST {
            valid.note(&id.to_string(), 0);
        }
        assert!(valid.found.lock().ids.len() <= MOST && valid.contains(&MOST.to_string()));
    }
}

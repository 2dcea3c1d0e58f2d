//! What ended sessions, and how often: a server that breaks off at one command gets the others first.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most names that are remembered; beyond, what is new is not.
const MAX_NAMES: usize = 10_000;

/// How often what is told has ended a session since it was told last. In memory: it decides an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Troubles(Arc<Mutex<BTreeMap<Vec<u8>, u32>>>);

impl Troubles {
    /// How often this has.
    pub fn of(&self, name: &[u8]) -> u32 {
        self.0.lock().get(name).copied().unwrap_or_default()
    }

    /// Once more.
    pub fn count(&self, name: Vec<u8>) {
        let mut all = self.0.lock();
        if all.len() < MAX_NAMES || all.contains_key(&name) {
            let times = all.entry(name).or_default();
            *times = times.saturating_add(1);
        }
    }

    /// It has not, this time.
    pub fn forget(&self, name: &[u8]) {
        self.0.lock().remove(name);
    }
}

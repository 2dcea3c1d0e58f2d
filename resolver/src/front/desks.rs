//! Places where requests of connections are answered from memory, each with kept answers of its
//! own: as many as the runtime has threads. Whoever has a batch of requests goes to one that nobody
//! is at, so that none waits for another.

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;

/// The desks of all connections of a front.
#[derive(Debug)]
pub(super) struct Desks<D> {
    first: Mutex<D>,
    others: Box<[Mutex<D>]>,
}

impl<D> Desks<D> {
    /// For the threads of this runtime; `make` is given each desk's share of `capacity_bytes`, what
    /// the kept answers of all desks may take.
    pub(super) fn new(capacity_bytes: u64, make: impl Fn(u64) -> D) -> Self {
        let threads = Handle::current().metrics().num_workers().max(1);
        let desk = |_| Mutex::new(make(capacity_bytes / threads as u64));
        Self {
            first: desk(0),
            others: (1..threads).map(desk).collect(),
        }
    }

    /// A desk that nobody is at.
    pub(super) fn free(&self) -> MutexGuard<'_, D> {
        let mut desks = std::iter::once(&self.first).chain(&self.others);
        let free = desks.find_map(Mutex::try_lock);
        // There is one for each thread, and no batch waits for anything.
        free.unwrap_or_else(|| self.first.lock())
    }
}

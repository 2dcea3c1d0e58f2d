//! What memory does not know: how many queries may wait for the disk, and how they end.

use super::Exchange;
use crate::front::dns::answer::{Deferred, Question};
use crate::front::dns::peer::Peer;
use crate::front::dns::query::Asked;
use crate::front::dns::reply::Reply;
use crate::measure;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Queries that one thread reads for, one after the other, where what is read comes from the
/// system's memory: the more, the less each costs.
const READS_FROM_MEMORY: usize = 64;
/// The same where a disk is read: so few that it is asked for many at a time.
const READS_FROM_DISK: usize = 8;
/// A read that took longer was one of the disk: memory takes a few microseconds.
const DISK_READ: Duration = Duration::from_micros(50);

/// How fast the last reads were.
#[derive(Debug, Default)]
pub(super) struct Pace {
    is_disk: AtomicBool,
}

impl Pace {
    /// So many reads took so long together. None say nothing.
    fn learn(&self, reads: usize, took: Duration) {
        let Ok(reads @ 1..) = u32::try_from(reads) else {
            return;
        };
        let is_disk = took / reads > DISK_READ;
        self.is_disk.store(is_disk, Ordering::Relaxed);
    }

    fn reads_together(&self) -> usize {
        match self.is_disk.load(Ordering::Relaxed) {
            true => READS_FROM_DISK,
            false => READS_FROM_MEMORY,
        }
    }
}

/// Room for one query that waits for the disk.
pub(in crate::front::dns) type Place = OwnedSemaphorePermit;

/// A query that waits for the disk.
#[derive(Debug)]
pub(in crate::front::dns) struct Waiting {
    pub(super) asked: Asked,
    pub(super) question: Question,
    pub(super) deferred: Deferred,
    pub(super) peer: Peer,
    pub(super) began: Instant,
    /// Resolutions that it has been so far.
    pub(in crate::front::dns) resolutions: u64,
}

/// What a query that waited comes to, and the resolutions that it was while it did.
type LookedUp = (Reply, measure::Asked);

impl Exchange {
    /// Room for a query to wait for the disk; `None`: too many wait, which is counted.
    pub(in crate::front::dns) fn place(&self) -> Option<Place> {
        let place = self.shared.waiting.clone().try_acquire_owned().ok();
        if place.is_none() {
            self.shared.meters.waiting_bound.increment(1);
        }
        place
    }

    /// How many queries to read for on one thread, by how long reads took last.
    pub(in crate::front::dns) fn reads_together(&self) -> usize {
        self.shared.pace.reads_together()
    }

    /// Reads what queries wait for that it can be read for together. May block on the disk.
    pub(in crate::front::dns) fn read_ahead<'a>(
        &self,
        waiting: impl Iterator<Item = &'a mut Waiting>,
    ) {
        let mut waiting: Vec<_> = waiting
            .filter(|it| matches!(it.deferred, Deferred::Record(_)))
            .collect();
        let identifiers: Vec<_> = waiting
            .iter()
            .filter_map(|it| match &it.deferred {
                Deferred::Record(identifier) => Some(identifier),
                _ => None,
            })
            .collect();
        let resolver = &self.shared.responder.core.resolver;
        let began = Instant::now();
        // Where that fails each is read by itself, and says why it cannot be.
        let read = resolver.read_many(&identifiers).unwrap_or_default();
        self.shared.pace.learn(read.len(), began.elapsed());
        for (waiting, entry) in waiting.iter_mut().zip(read) {
            if let Deferred::Record(identifier) = &waiting.deferred {
                waiting.deferred = Deferred::Read(identifier.clone(), entry);
            }
        }
    }

    /// Goes on with what memory did not know. `None`: the answer is not to be sent. May block on
    /// the disk.
    pub(in crate::front::dns) fn finish(&self, waiting: &Waiting) -> Option<Vec<u8>> {
        let looked_up = self.look_up(waiting);
        self.close(waiting, looked_up)
    }

    /// The same on a thread of the runtime's; without a place the answer says that there is no
    /// room.
    pub(in crate::front::dns) async fn finish_elsewhere(
        &self,
        waiting: Waiting,
        place: Option<Place>,
    ) -> Option<Vec<u8>> {
        let waiting = Arc::new(waiting);
        let looked_up = match place {
            Some(place) => {
                let (exchange, theirs) = (self.clone(), waiting.clone());
                let reading = tokio::task::spawn_blocking(move || {
                    let looked_up = exchange.look_up(&theirs);
                    // Held until here, whether or not somebody still waits for this.
                    drop(place);
                    looked_up
                });
                match tokio::time::timeout(self.shared.deadline, reading).await {
                    Ok(Ok(looked_up)) => looked_up,
                    Ok(Err(_)) => (
                        Reply::failed("the read was lost"),
                        measure::Asked::default(),
                    ),
                    Err(_) => too_slow(&waiting),
                }
            }
            None => {
                let reply = Reply::failed("too many queries wait for the disk");
                (reply, measure::Asked::default())
            }
        };
        self.close(&waiting, looked_up)
    }

    fn look_up(&self, waiting: &Waiting) -> LookedUp {
        if waiting.began.elapsed() >= self.shared.deadline {
            return too_slow(waiting);
        }
        let here = measure::asker::here(Some(waiting.peer.addr.ip()));
        let responder = &self.shared.responder;
        let reply = responder.finish(&waiting.question, &waiting.deferred);
        (reply, here.asked())
    }

    fn close(&self, waiting: &Waiting, (reply, mut asked): LookedUp) -> Option<Vec<u8>> {
        let client = waiting.asked.edns.as_ref();
        let reply = self
            .shared
            .responder
            .signed(&waiting.question, client, reply);
        let answer = self.write(&waiting.asked, &reply, &waiting.peer);
        let took = waiting.began.elapsed();
        self.shared.meters.took(took, 1);
        asked.add(measure::Asked::of(waiting.resolutions));
        measure::answered(took, asked);
        answer
    }
}

/// One that a record is read for is a resolution, however late that comes.
fn too_slow(waiting: &Waiting) -> LookedUp {
    let is_resolution = matches!(
        waiting.deferred,
        Deferred::Record(_) | Deferred::Read(..) | Deferred::Hash(..)
    );
    let reply = Reply::failed("the registry took too long");
    (reply, measure::Asked::of(is_resolution.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_changes_by_what_was_read_alone() {
        let pace = Pace::default();
        pace.learn(4, 5 * DISK_READ);
        assert_eq!(pace.reads_together(), READS_FROM_DISK);
        // A batch of questions that no record is read for.
        pace.learn(0, Duration::ZERO);
        assert_eq!(pace.reads_together(), READS_FROM_DISK);
        pace.learn(4, DISK_READ);
        assert_eq!(pace.reads_together(), READS_FROM_MEMORY);
    }
}

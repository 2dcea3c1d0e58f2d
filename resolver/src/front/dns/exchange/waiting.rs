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
}

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
        match self.shared.pace.is_disk.load(Ordering::Relaxed) {
            true => READS_FROM_DISK,
            false => READS_FROM_MEMORY,
        }
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
        // Where that fails each is read by itself, and says why it cannot be.
        let resolver = &self.shared.responder.core.resolver;
        let began = Instant::now();
        let read = resolver.read_many(&identifiers).unwrap_or_default();
        let reads = u32::try_from(identifiers.len().max(1)).unwrap_or(u32::MAX);
        let is_disk = began.elapsed() / reads > DISK_READ;
        self.shared.pace.is_disk.store(is_disk, Ordering::Relaxed);
        for (waiting, entry) in waiting.iter_mut().zip(read) {
            if let Deferred::Record(identifier) = &waiting.deferred {
                waiting.deferred = Deferred::Read(identifier.clone(), entry);
            }
        }
    }

    /// Goes on with what memory did not know. `None`: the answer is not to be sent. May block on
    /// the disk.
    pub(in crate::front::dns) fn finish(&self, waiting: &Waiting) -> Option<Vec<u8>> {
        let reply = self.look_up(waiting);
        self.close(waiting, reply)
    }

    /// The same on a thread of the runtime's; without a place the answer says that there is no
    /// room.
    pub(in crate::front::dns) async fn finish_elsewhere(
        &self,
        waiting: Waiting,
        place: Option<Place>,
    ) -> Option<Vec<u8>> {
        let waiting = Arc::new(waiting);
        let reply = match place {
            Some(place) => {
                let (exchange, theirs) = (self.clone(), waiting.clone());
                let reading = tokio::task::spawn_blocking(move || {
                    let reply = exchange.look_up(&theirs);
                    // Held until here, whether or not somebody still waits for this.
                    drop(place);
                    reply
                });
                match tokio::time::timeout(self.shared.deadline, reading).await {
                    Ok(Ok(reply)) => reply,
                    Ok(Err(_)) => Reply::failed("the read was lost"),
                    Err(_) => too_slow(),
                }
            }
            None => Reply::failed("too many queries wait for the disk"),
        };
        self.close(&waiting, reply)
    }

    fn look_up(&self, waiting: &Waiting) -> Reply {
        if waiting.began.elapsed() >= self.shared.deadline {
            return too_slow();
        }
        measure::asker::on_thread(waiting.peer.addr.ip());
        let responder = &self.shared.responder;
        responder.finish(&waiting.question, &waiting.deferred)
    }

    fn close(&self, waiting: &Waiting, reply: Reply) -> Option<Vec<u8>> {
        let client = waiting.asked.edns.as_ref();
        let reply = self
            .shared
            .responder
            .signed(&waiting.question, client, reply);
        let answer = self.write(&waiting.asked, &reply, &waiting.peer);
        self.shared.meters.took(waiting.began.elapsed(), 1);
        measure::resolved(waiting.began.elapsed(), 1);
        answer
    }
}

fn too_slow() -> Reply {
    Reply::failed("the registry took too long")
}

//! Queries in datagrams, on the batched loop: what was answered before or memory knows is
//! answered on the loop's own thread, the rest, in batches too, where threads may wait for the
//! disk.

use super::desk::{Desk, Served};
use super::exchange::{Exchange, Place, Waiting};
use super::peer::{Peer, Transport};
use crate::udp::{Path, Sender, Service};
use std::time::Duration;
use tokio::runtime::Handle;

/// A query that waits for the disk.
#[derive(Debug)]
struct Late {
    waiting: Box<Waiting>,
    path: Path,
    /// Held until the answer is sent: whoever shuts the node down waits for it.
    _place: Place,
}

/// The DNS front's part of one UDP thread.
#[derive(Debug)]
pub(super) struct Datagrams {
    desk: Desk,
    sender: Sender,
    runtime: Handle,
    /// Of this batch.
    late: Vec<Late>,
}

impl Datagrams {
    /// `capacity_bytes`: what its kept answers may take.
    pub(super) fn new(
        exchange: Exchange,
        capacity_bytes: u64,
        sender: Sender,
        runtime: Handle,
    ) -> Self {
        Self {
            desk: Desk::new(exchange, capacity_bytes),
            sender,
            runtime,
            late: Vec::new(),
        }
    }

    /// Answers of this batch that had been kept.
    #[cfg(test)]
    pub(super) fn repeated(&self) -> u64 {
        self.desk.repeated()
    }

    /// Notes what must wait, if there is room to: where sources may be forged, what waits is
    /// bounded, and what is beyond is lost, as datagrams may be.
    fn put_off(&mut self, waiting: Box<Waiting>, path: Path) {
        if let Some(place) = self.desk.exchange().place() {
            self.late.push(Late {
                waiting,
                path,
                _place: place,
            });
        }
    }

    /// Hands over what this batch has put off.
    fn hand_over(&mut self) {
        while !self.late.is_empty() {
            let count = self.late.len().min(self.desk.exchange().reads_together());
            let mut late: Vec<_> = self.late.drain(..count).collect();
            let (exchange, sender) = (self.desk.exchange().clone(), self.sender.clone());
            self.runtime.spawn_blocking(move || {
                exchange.read_ahead(late.iter_mut().map(|late| &mut *late.waiting));
                let answers: Vec<_> = late
                    .iter()
                    .filter_map(|late| Some((exchange.finish(&late.waiting)?, late.path)))
                    .collect();
                sender.send_many(&answers);
                drop(late);
            });
        }
    }
}

impl Service for Datagrams {
    fn answer(&mut self, datagram: &[u8], path: Path, answer: &mut Vec<u8>) -> bool {
        let exchange = self.desk.exchange();
        if exchange.is_draining() {
            return false;
        }
        let peer = Peer::new(path.source, Transport::Udp);
        match self.desk.serve(datagram, &peer, answer) {
            Served::Answered => true,
            // There are no transfers in datagrams.
            Served::Nothing | Served::Messages(_) => false,
            Served::Wait(waiting) => {
                self.put_off(waiting, path);
                false
            }
        }
    }

    fn batch_ended(&mut self, datagrams: usize, took: Duration) -> usize {
        self.desk.batch_ended(datagrams, took);
        let handed_over = self.late.len();
        self.hand_over();
        handed_over
    }
}

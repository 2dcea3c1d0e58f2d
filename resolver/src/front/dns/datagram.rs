//! Queries in datagrams, on the batched loop: what was answered before or memory knows is
//! answered on the loop's own thread, the rest by the runtime.

use super::desk::{Desk, Served};
use super::exchange::{Exchange, Peer, Transport, Waiting};
use crate::udp::{Path, Sender, Service};
use std::time::Duration;
use tokio::runtime::Handle;

/// The DNS front's part of one UDP thread.
#[derive(Debug)]
pub(super) struct Datagrams {
    desk: Desk,
    sender: Sender,
    runtime: Handle,
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
        }
    }

    /// Answers of this batch that had been kept.
    #[cfg(test)]
    pub(super) fn repeated(&self) -> u64 {
        self.desk.repeated()
    }

    /// Answers later what must wait, if there is room to: where sources may be forged, what
    /// waits is bounded before anything is made for it, and what is beyond is lost, as datagrams
    /// may be.
    fn put_off(&self, waiting: Waiting, path: Path) {
        let exchange = self.desk.exchange().clone();
        let Some(place) = exchange.place() else {
            return;
        };
        let sender = self.sender.clone();
        self.runtime.spawn(async move {
            if let Some(answer) = exchange.finish(waiting, Some(&place)).await {
                sender.send(&answer, path);
            }
            // Held until here: whoever shuts the node down waits for it.
            drop(place);
        });
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
                self.put_off(*waiting, path);
                false
            }
        }
    }

    fn batch_ended(&mut self, datagrams: usize, took: Duration) {
        self.desk.batch_ended(datagrams, took);
    }
}

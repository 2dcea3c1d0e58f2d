//! Queries in datagrams, on the batched loop: what was answered before or memory knows is
//! answered on the loop's own thread, the rest by the runtime.

use super::desk::{Desk, Served};
use super::exchange::{Exchange, Peer, Transport};
use crate::udp::{Sender, Service};
use std::net::SocketAddr;
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
}

impl Service for Datagrams {
    fn answer(&mut self, datagram: &[u8], source: SocketAddr, answer: &mut Vec<u8>) -> bool {
        let exchange = self.desk.exchange();
        if exchange.is_draining() {
            return false;
        }
        let peer = Peer {
            addr: source,
            transport: Transport::Udp,
        };
        match self.desk.serve(datagram, &peer, answer) {
            Served::Answered => true,
            // There are no transfers in datagrams.
            Served::Nothing | Served::Messages(_) => false,
            Served::Wait(waiting) => {
                let (exchange, sender) = (self.desk.exchange().clone(), self.sender.clone());
                self.runtime.spawn(async move {
                    if let Some(answer) = exchange.finish(*waiting).await {
                        sender.send(&answer, source);
                    }
                });
                false
            }
        }
    }

    fn batch_ended(&mut self, datagrams: usize, took: Duration) {
        self.desk.batch_ended(datagrams, took);
    }
}

//! Queries in datagrams, on the batched loop: what memory knows is answered on the loop's own
//! thread, the rest by the runtime.

use super::exchange::{Begun, Exchange, Peer, Transport};
use crate::udp::{Sender, Service};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;

/// The DNS front's part of one UDP thread.
#[derive(Debug)]
pub(super) struct Datagrams {
    exchange: Exchange,
    sender: Sender,
    runtime: Handle,
}

impl Datagrams {
    pub(super) fn new(exchange: Exchange, sender: Sender, runtime: Handle) -> Self {
        Self {
            exchange,
            sender,
            runtime,
        }
    }
}

impl Service for Datagrams {
    fn answer(&mut self, datagram: &[u8], source: SocketAddr, answer: &mut Vec<u8>) -> bool {
        if self.exchange.is_draining() {
            return false;
        }
        let peer = Peer {
            addr: source,
            transport: Transport::Udp,
        };
        match self.exchange.begin(datagram, &peer) {
            Begun::Done(Some(made)) => {
                answer.extend_from_slice(&made);
                true
            }
            Begun::Done(None) => false,
            Begun::Wait(waiting) => {
                let (exchange, sender) = (self.exchange.clone(), self.sender.clone());
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
        self.exchange.meters().took(took, datagrams);
    }
}

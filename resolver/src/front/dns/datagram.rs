//! Queries in datagrams, on the batched loop: what was answered before or memory knows is
//! answered on the loop's own thread, the rest by the runtime.

use super::edns::ClientEdns;
use super::encode::{AnswerFrame, CurrentSoa};
use super::exchange::{Considered, Exchange, Peer, Transport, encode};
use super::frame::Frame;
use super::guard::{Admission, Verdict};
use super::kept::{KeptAnswers, Key};
use super::query::{Asked, Head};
use super::reply::{Outcome, Reply};
use crate::udp::{Sender, Service};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;

/// The DNS front's part of one UDP thread.
#[derive(Debug)]
pub(super) struct Datagrams {
    exchange: Exchange,
    kept: KeptAnswers,
    sender: Sender,
    runtime: Handle,
    /// Answers of this batch by outcome, and how many of them were kept ones.
    outcomes: [u64; Outcome::ALL.len()],
    repeated: u64,
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
            exchange,
            kept: KeptAnswers::new(capacity_bytes),
            sender,
            runtime,
            outcomes: [0; Outcome::ALL.len()],
            repeated: 0,
        }
    }

    /// Answers of this batch that had been kept.
    #[cfg(test)]
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// Answers with what is kept under a question; `None`: nothing is that may be given.
    fn repeat(&mut self, usual: &Usual<'_>, peer: &Peer, out: &mut Vec<u8>) -> Option<bool> {
        let exchange = &self.exchange;
        let guard = exchange.guard();
        if guard.admission(peer.addr.ip()) != Admission::Welcome {
            return None;
        }
        let kept = self
            .kept
            .get(&usual.key, exchange.resolver(), exchange.dnssec())?;
        if kept.zone.is_some_and(|zone| !guard.admits_to(zone)) {
            return None;
        }
        let client = usual.client.as_ref();
        let outcome = kept.tail.outcome;
        let verdict = match exchange.knows(client, peer) {
            true => Verdict::Send,
            false => guard.verdict(peer.addr.ip(), outcome, usual.key.as_bytes()),
        };
        if verdict != Verdict::Drop {
            let signatures = match kept.zone {
                Some(zone) if kept.tail.has_soa_signatures() => {
                    Some(exchange.soa_signatures(zone)?)
                }
                _ => None,
            };
            let soa = CurrentSoa {
                serial: signatures
                    .as_ref()
                    .map_or_else(|| exchange.serial(), |made| made.serial),
                signatures: signatures.as_ref().map_or(&[][..], |made| &made.data),
            };
            let frame = exchange.frame(usual.head, usual.frame.question(), client, peer);
            let frame = AnswerFrame {
                soa: Some(soa),
                only_truncated: verdict == Verdict::Truncate,
                ..frame
            };
            exchange.fill(&kept.tail, &frame, out);
        }
        kept.basis.count();
        self.count(outcome);
        self.repeated += 1;
        Some(verdict != Verdict::Drop)
    }

    /// Answers with a reply that was just made, and keeps its bytes if they may be.
    fn reply(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        usual: Option<&Usual<'_>>,
        peer: &Peer,
        out: &mut Vec<u8>,
    ) -> bool {
        let exchange = &self.exchange;
        let Some(tail) = encode(asked, reply) else {
            return false;
        };
        let client = asked.edns.as_ref();
        let verdict = match exchange.knows(client, peer) {
            true => Verdict::Send,
            false => exchange.guard().verdict(
                peer.addr.ip(),
                reply.outcome,
                usual.map_or(&asked.section, |usual| usual.key.as_bytes()),
            ),
        };
        if verdict != Verdict::Drop {
            let frame = AnswerFrame {
                only_truncated: verdict == Verdict::Truncate,
                ..exchange.frame(asked.head, &asked.section, client, peer)
            };
            exchange.fill_signed(&tail, frame, &asked.signing, out);
        }
        if let Some(usual) = usual {
            let zone = asked.question.as_ref();
            let zone = zone.and_then(|question| exchange.zone_of(question));
            self.kept.keep(&usual.key, zone, tail, reply);
        }
        self.count(reply.outcome);
        verdict != Verdict::Drop
    }
}

/// A usual query, and what its answer is kept under.
struct Usual<'a> {
    frame: Frame<'a>,
    head: Head,
    client: Option<ClientEdns>,
    key: Key,
}

impl<'a> Usual<'a> {
    fn read(datagram: &'a [u8]) -> Option<Self> {
        let frame = Frame::read(datagram)?;
        let client = frame.opt.as_ref().map(ClientEdns::read);
        Some(Self {
            head: Head::of(datagram)?,
            key: Key::of(&frame, client.as_ref())?,
            frame,
            client,
        })
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
        let usual = Usual::read(datagram);
        if let Some(usual) = &usual
            && let Some(is_sent) = self.repeat(usual, &peer, answer)
        {
            return is_sent;
        }
        match self.exchange.consider(datagram, &peer) {
            // There are no transfers in datagrams.
            Considered::Nothing | Considered::Messages(_) => false,
            Considered::Malformed(head) => {
                let error = self.exchange.format_error(head);
                answer.extend_from_slice(&error);
                let guard = self.exchange.guard();
                guard.verdict(source.ip(), Outcome::Malformed, &[]) == Verdict::Send
            }
            Considered::Reply(asked, reply) => {
                self.reply(&asked, &reply, usual.as_ref(), &peer, answer)
            }
            Considered::Wait(waiting) => {
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
        let meters = self.exchange.meters();
        meters.took(took, datagrams);
        meters
            .repeated
            .increment(std::mem::take(&mut self.repeated));
        for ((outcome, _), count) in Outcome::ALL.into_iter().zip(&mut self.outcomes) {
            if *count > 0 {
                meters.count_many(outcome, std::mem::take(count));
            }
        }
    }
}

//! Where queries are answered that need not wait: with what is kept, or from what memory knows,
//! whose bytes are kept then. Each UDP thread has a desk of its own; connections share some
//! ([`crate::front::desks`]).

use super::edns::ClientEdns;
use super::encode::{AnswerFrame, CurrentSoa};
use super::exchange::{Considered, Exchange, Waiting, beyond_zone_limit, encode};
use super::frame::Frame;
use super::guard::{Admission, Verdict};
use super::kept::{KeptAnswers, Key};
use super::peer::Peer;
use super::query::{Asked, Head};
use super::reply::{Outcome, Reply};
use super::transfer::Messages;
use crate::measure;
use std::time::Duration;

/// A place with kept answers of its own, for one batch of queries at a time.
#[derive(Debug)]
pub(super) struct Desk {
    exchange: Exchange,
    kept: KeptAnswers,
    /// Answers of this batch by outcome, and how many of them were kept ones.
    outcomes: [u64; Outcome::ALL.len()],
    repeated: u64,
    /// Resolutions of this thread when the batch began; `None`: it has not.
    asked_before: Option<u64>,
    /// Resolutions of this batch that are measured elsewhere.
    put_off: u64,
}

/// What a query comes to at once.
#[derive(Debug)]
pub(super) enum Served {
    /// Its answer is written.
    Answered,
    /// It draws no answer.
    Nothing,
    /// The disk must be asked.
    Wait(Box<Waiting>),
    /// A zone transfer, message by message; only on connections that carry them.
    Messages(Messages),
}

impl Desk {
    /// `capacity_bytes`: what its kept answers may take.
    pub(super) fn new(exchange: Exchange, capacity_bytes: u64) -> Self {
        Self {
            exchange,
            kept: KeptAnswers::new(capacity_bytes),
            outcomes: [0; Outcome::ALL.len()],
            repeated: 0,
            asked_before: None,
            put_off: 0,
        }
    }

    /// Whose answers these are.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Answers of this batch that had been kept.
    #[cfg(test)]
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Answers a query into `answer`, which is empty. Never waits. Who asks has been said
    /// ([`measure::asker`]).
    pub(super) fn serve(&mut self, query: &[u8], peer: &Peer, answer: &mut Vec<u8>) -> Served {
        self.asked_before.get_or_insert_with(measure::asked);
        let usual = Usual::read(query);
        if let Some(usual) = &usual
            && let Some(served) = self.repeat(usual, peer, answer)
        {
            return served;
        }
        match self.exchange.consider(query, peer) {
            Considered::Nothing => Served::Nothing,
            Considered::Malformed(head) => {
                answer.extend_from_slice(&self.exchange.format_error(head));
                let exchange = &self.exchange;
                match exchange.verdict(None, peer, Outcome::Malformed, || [0_u8; 0]) {
                    Verdict::Send => Served::Answered,
                    _ => Served::Nothing,
                }
            }
            Considered::Reply(asked, reply) => {
                self.reply(&asked, &reply, usual.as_ref(), peer, answer)
            }
            Considered::Wait(waiting) => {
                self.put_off += waiting.resolutions;
                Served::Wait(waiting)
            }
            Considered::Messages(messages) => Served::Messages(messages),
        }
    }

    /// A batch has been answered, all of it on this thread: how many queries it had, and how long
    /// it took.
    pub(super) fn batch_ended(&mut self, queries: usize, took: Duration) {
        let meters = self.exchange.meters();
        meters.took(took, queries);
        let before = self.asked_before.take();
        let asked = before.map_or(0, |before| measure::asked().wrapping_sub(before));
        // Those that wait for the disk are measured when they are answered.
        let put_off = std::mem::take(&mut self.put_off);
        measure::resolved(took, asked.saturating_sub(put_off));
        meters
            .repeated
            .increment(std::mem::take(&mut self.repeated));
        for ((outcome, _), count) in Outcome::ALL.into_iter().zip(&mut self.outcomes) {
            if *count > 0 {
                meters.count_many(outcome, std::mem::take(count));
            }
        }
    }

    fn count(&mut self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get_mut(outcome as usize) {
            *count += 1;
        }
    }

    /// Answers with what is kept under a question; `None`: nothing is that may be given.
    fn repeat(&mut self, usual: &Usual<'_>, peer: &Peer, out: &mut Vec<u8>) -> Option<Served> {
        let exchange = &self.exchange;
        let guard = exchange.guard();
        if guard.admission(peer.addr.ip()) != Admission::Welcome {
            return None;
        }
        let kept = self
            .kept
            .get(&usual.key, exchange.resolver(), exchange.dnssec())?;
        let signatures = match kept.zone {
            Some(zone) if kept.tail.has_soa_signatures() => Some(exchange.soa_signatures(zone)?),
            _ => None,
        };
        // From here on it is counted, and so must be answered here.
        if kept.zone.is_some_and(|zone| !guard.admits_to(zone)) {
            let asked = Asked::from_frame(usual.head, &usual.frame)?;
            return Some(self.reply(&asked, &beyond_zone_limit(), Some(usual), peer, out));
        }
        let client = usual.client.as_ref();
        let outcome = kept.tail.outcome;
        let verdict = exchange.verdict(client, peer, outcome, || usual.key.question());
        if verdict != Verdict::Drop {
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
                extras: exchange.gives_extras(&kept.tail, client, peer),
                ..frame
            };
            exchange.fill(&kept.tail, &frame, out);
        }
        kept.basis.count();
        self.count(outcome);
        self.repeated += 1;
        Some(served(verdict))
    }

    /// Answers with a reply that was just made, and keeps its bytes if they may be.
    fn reply(
        &mut self,
        asked: &Asked,
        reply: &Reply,
        usual: Option<&Usual<'_>>,
        peer: &Peer,
        out: &mut Vec<u8>,
    ) -> Served {
        let exchange = &self.exchange;
        let Some(tail) = encode(asked, reply) else {
            return Served::Nothing;
        };
        let client = asked.edns.as_ref();
        let verdict = match usual {
            Some(usual) => exchange.verdict(client, peer, reply.outcome, || usual.key.question()),
            None => exchange.verdict(client, peer, reply.outcome, || asked.counted_as()),
        };
        if verdict != Verdict::Drop {
            let frame = AnswerFrame {
                only_truncated: verdict == Verdict::Truncate,
                extras: exchange.gives_extras(&tail, client, peer),
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
        served(verdict)
    }
}

fn served(verdict: Verdict) -> Served {
    match verdict {
        Verdict::Send | Verdict::Truncate => Served::Answered,
        Verdict::Drop => Served::Nothing,
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

//! One exchange, from a query's bytes to its answer's, the same for every transport: which
//! requests are refused, how long they may take, how many may wait, how large answers may be.

mod waiting;

use super::DnsOptions;
use super::answer::{Question, Responder, Step};
use super::cookie::{Cookies, SECRET_BYTES};
use super::dnssec::{Dnssec, NXNAME, SoaSignatures};
use super::edns::{self, AnswerOptions, ClientEdns, ServerEdns, now_s};
use super::encode::{AnswerFrame, Tail};
use super::guard::{Admission, Guard, Verdict};
use super::meters::Meters;
use super::peer::{Peer, Transport};
use super::query::{Asked, Head, Read};
use super::raw;
use super::reply::{ErrorCode, ExtendedError, Outcome, Reply, is_transfer};
use super::transfer::{Messages, Opening, Started, Transfers, Wanted};
use super::tsig::{self, Checked, Keys, Signing};
use crate::measure;
use crate::resolve::Resolver;
use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use idnode_proto::dnsname::ZoneKind;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

use waiting::Pace;
pub(super) use waiting::{Place, Waiting};

/// The greatest answer over UDP to those without EDNS (RFC 1035 §4.2.1), bytes.
pub(super) const MIN_UDP_PAYLOAD: u16 = 512;
/// The greatest answer over connections, bytes.
const MAX_MESSAGE_BYTES: usize = u16::MAX as usize;

/// Answers queries; a handle to one shared state.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    responder: Responder,
    transfers: Transfers,
    keys: Keys,
    edns: ServerEdns,
    guard: Guard,
    deadline: Duration,
    waiting: Arc<Semaphore>,
    max_waiting: u32,
    pace: Pace,
    draining: AtomicBool,
    meters: Meters,
}

/// What a query comes to at once.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once, where a box would be an allocation for each query"
)]
pub(super) enum Considered {
    /// It draws no answer.
    Nothing,
    /// It cannot be parsed.
    Malformed(Head),
    /// What is answered.
    Reply(Box<Asked>, Reply),
    /// The disk must be asked.
    Wait(Box<Waiting>),
    /// A zone transfer, message by message; only on connections that carry them.
    Messages(Messages),
}

impl Exchange {
    /// # Errors
    /// The system has no random numbers for a secret.
    pub(super) fn new(
        responder: Responder,
        transfers: Transfers,
        options: &DnsOptions,
        deadline: Duration,
    ) -> io::Result<Self> {
        let most = options.max_waiting_queries.min(Semaphore::MAX_PERMITS);
        let max_waiting = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let mut secret = [0; SECRET_BYTES];
        match options.cookie_secret {
            Some(given) => secret = given,
            None => getrandom::fill(&mut secret).map_err(io::Error::other)?,
        }
        let edns = ServerEdns {
            max_payload: options.max_udp_payload.max(MIN_UDP_PAYLOAD),
            nsid: options.nsid.clone().into_bytes(),
            keepalive_100ms: u16::try_from(options.tcp_idle_s.saturating_mul(10))
                .unwrap_or(u16::MAX),
            cookies: Cookies::new(&secret),
        };
        let shared = Shared {
            responder,
            transfers,
            keys: options.tsig_keys.clone(),
            edns,
            guard: Guard::new(&options.guard),
            deadline,
            waiting: Arc::new(Semaphore::new(max_waiting as usize)),
            max_waiting,
            pace: Pace::default(),
            draining: AtomicBool::new(false),
            meters: Meters::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.shared.meters
    }

    /// Ignores UDP queries from now on, so that they are asked elsewhere.
    pub(super) fn ignore_datagrams(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Waits for the queries under way.
    pub(super) async fn drain(&self) {
        // An error would say that the semaphore is closed, which it never is.
        let _ = self
            .shared
            .waiting
            .acquire_many(self.shared.max_waiting)
            .await;
    }

    /// Whether UDP queries are ignored.
    pub(super) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Answers one query where no zone transfers are carried; `None`: it draws no answer.
    pub(super) async fn answer(&self, query: &[u8], peer: &Peer) -> Option<Vec<u8>> {
        let began = Instant::now();
        let (considered, resolutions) = {
            let here = measure::asker::here(Some(peer.addr.ip()));
            let considered = self.consider(query, peer);
            (considered, here.asked())
        };
        let answer = match considered {
            Considered::Nothing | Considered::Messages(_) => None,
            Considered::Malformed(head) => Some(self.format_error(head)),
            Considered::Reply(asked, reply) => self.write(&asked, &reply, peer),
            Considered::Wait(waiting) => {
                let place = self.place();
                return self.finish_elsewhere(*waiting, place).await;
            }
        };
        self.shared.meters.took(began.elapsed(), 1);
        measure::answered(began.elapsed(), resolutions);
        answer
    }

    /// What a query comes to as far as memory knows. Never waits. Who asks has been said
    /// ([`measure::asker`]).
    pub(super) fn consider(&self, query: &[u8], peer: &Peer) -> Considered {
        let admission = self.shared.guard.admission(peer.addr.ip());
        if admission == Admission::Ignored {
            return Considered::Nothing;
        }
        let asked = match Asked::read(query, peer.addr) {
            Read::Query(asked) => asked,
            Read::Malformed(head) => return Considered::Malformed(head),
            Read::Nothing => return Considered::Nothing,
        };
        if admission == Admission::Refused {
            let text = "this address may not ask";
            return Considered::Reply(asked, Reply::refused(ErrorCode::Prohibited, text));
        }
        self.consider_asked(query, asked, peer)
    }

    /// What a query that was taken apart comes to.
    pub(super) fn consider_asked(
        &self,
        query: &[u8],
        mut asked: Box<Asked>,
        peer: &Peer,
    ) -> Considered {
        if let Some(refusal) = self.verify(query, &mut asked) {
            return Considered::Reply(asked, refusal);
        }
        let question = match admissible(&asked) {
            Ok(question) => question.clone(),
            Err(refusal) => return Considered::Reply(asked, *refusal),
        };
        if let Some(zone) = self.zone_of(&question)
            && !self.shared.guard.admits_to(zone)
        {
            return Considered::Reply(asked, beyond_zone_limit());
        }
        if is_transfer(question.qtype) {
            return self.transfer(query, asked, &question, peer);
        }
        let asked_before = measure::asked();
        match self.shared.responder.try_answer(&question) {
            Step::Done(reply) => {
                let reply = self
                    .shared
                    .responder
                    .signed(&question, asked.edns.as_ref(), reply);
                Considered::Reply(asked, reply)
            }
            Step::Wait(deferred) => Considered::Wait(Box::new(Waiting {
                asked: *asked,
                question,
                deferred,
                peer: *peer,
                began: Instant::now(),
                resolutions: measure::asked().wrapping_sub(asked_before),
            })),
        }
    }

    /// Verifies a query's signature, if it has one, and notes how its answer is signed; what is
    /// answered if that is wrong.
    fn verify(&self, query: &[u8], asked: &mut Asked) -> Option<Reply> {
        if !asked.is_signed {
            return None;
        }
        match self.shared.keys.check(query, tsig::now_s()) {
            Checked::Signed(signer) => {
                asked.signing = Signing::With(signer);
                None
            }
            Checked::Failed(failure) => {
                tracing::debug!(reason = failure.reason(), "a signed DNS query is refused");
                asked.signing = Signing::Refused(failure);
                Some(Reply::bare(Outcome::Refused, ResponseCode::NotAuth))
            }
            Checked::Unsigned | Checked::Malformed => {
                Some(Reply::bare(Outcome::Malformed, ResponseCode::FormErr))
            }
        }
    }

    /// Begins a zone transfer.
    fn transfer(
        &self,
        query: &[u8],
        asked: Box<Asked>,
        question: &Question,
        peer: &Peer,
    ) -> Considered {
        let wanted = Wanted {
            question,
            serial: raw::serial_of_sender(query),
            address: peer.addr.ip(),
            is_connection: peer.transport.carries_transfers(),
            opening: Opening {
                head: asked.head,
                question: asked.section.to_vec(),
                opt: self.opt(asked.edns.as_ref(), peer),
                signer: asked.signing.signer(),
            },
        };
        match self.shared.transfers.begin(wanted) {
            Started::Reply(reply) => Considered::Reply(asked, *reply),
            Started::Messages(messages) => {
                self.shared.meters.count(Outcome::Answered);
                Considered::Messages(messages)
            }
        }
    }

    /// The OPT record of an answer without options of its own; empty to those without EDNS.
    fn opt(&self, client: Option<&ClientEdns>, peer: &Peer) -> Vec<u8> {
        let mut opt = Vec::new();
        if let Some((edns, options)) = self.frame(Head::default(), &[], client, peer).edns {
            edns.append(0, &options, &mut opt);
        }
        opt
    }

    /// Encodes a reply for one client; `None`: it is not to be sent.
    pub(super) fn write(&self, asked: &Asked, reply: &Reply, peer: &Peer) -> Option<Vec<u8>> {
        self.shared.meters.count(reply.outcome);
        let tail = encode(asked, reply)?;
        let client = asked.edns.as_ref();
        let verdict = self.verdict(client, peer, reply.outcome, || asked.counted_as());
        if verdict == Verdict::Drop {
            return None;
        }
        let mut out = Vec::with_capacity(usize::from(MIN_UDP_PAYLOAD));
        let frame = AnswerFrame {
            only_truncated: verdict == Verdict::Truncate,
            extras: self.gives_extras(&tail, client, peer),
            ..self.frame(asked.head, &asked.section, client, peer)
        };
        self.fill_signed(&tail, frame, &asked.signing, &mut out);
        Some(out)
    }

    /// Whether an answer is sent, wherever it was found. Rates are limited where sources may be
    /// forged: not on connections, nor for who has shown a cookie that it was given here.
    /// `question`: see [`Guard::verdict`].
    pub(super) fn verdict<Q: AsRef<[u8]>>(
        &self,
        client: Option<&ClientEdns>,
        peer: &Peer,
        outcome: Outcome,
        question: impl FnOnce() -> Q,
    ) -> Verdict {
        if self.is_proven(client, peer) {
            return Verdict::Send;
        }
        let guard = &self.shared.guard;
        guard.verdict(peer.addr.ip(), outcome, question().as_ref())
    }

    /// What goes around the records of an answer to a client.
    pub(super) fn frame<'a>(
        &'a self,
        head: Head,
        question: &'a [u8],
        client: Option<&'a ClientEdns>,
        peer: &Peer,
    ) -> AnswerFrame<'a> {
        let shared = &self.shared;
        let edns = client.map(|client| {
            let options = AnswerOptions {
                client,
                address: peer.addr.ip(),
                is_connection: peer.transport.has_keepalive(),
                own: &[],
            };
            (&shared.edns, options)
        });
        AnswerFrame {
            head,
            question,
            soa: None,
            edns,
            padded: peer.transport.is_encrypted() && client.is_some_and(|client| client.padding),
            limit: self.size_limit(client, peer.transport),
            only_truncated: false,
            extras: false,
        }
    }

    /// Writes an answer to `out`, and counts it if it had to be truncated.
    pub(super) fn fill(&self, tail: &Tail, frame: &AnswerFrame<'_>, out: &mut Vec<u8>) {
        if tail.write(frame, out) {
            self.shared.meters.truncated.increment(1);
        }
    }

    /// As [`Exchange::fill`], and signs the answer.
    pub(super) fn fill_signed(
        &self,
        tail: &Tail,
        mut frame: AnswerFrame<'_>,
        signing: &Signing,
        out: &mut Vec<u8>,
    ) {
        frame.limit = frame.limit.saturating_sub(signing.room());
        self.fill(tail, &frame, out);
        signing.sign(out);
    }

    /// FORMERR as a bare header, to what cannot be read further.
    pub(super) fn format_error(&self, head: Head) -> Vec<u8> {
        self.shared.meters.count(Outcome::Malformed);
        let ([id_high, id_low], [flags, _]) = (head.id, head.flags);
        let rcode = ResponseCode::FormErr.low();
        vec![id_high, id_low, flags, rcode, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// The greatest message the client takes, bytes.
    fn size_limit(&self, client: Option<&ClientEdns>, transport: Transport) -> usize {
        if transport.is_stream() {
            return MAX_MESSAGE_BYTES;
        }
        let most = self.shared.edns.max_payload;
        let limit = client.map_or(MIN_UDP_PAYLOAD, |client| {
            client.max_payload.clamp(MIN_UDP_PAYLOAD, most)
        });
        usize::from(limit)
    }

    /// The zone that a question is for.
    pub(super) fn zone_of(&self, question: &Question) -> Option<ZoneKind> {
        self.shared.responder.zone_of(question)
    }

    /// Who may ask, and how often.
    pub(super) fn guard(&self) -> &Guard {
        &self.shared.guard
    }

    /// Whether nothing is heard of what an address asks, which then needs no connection.
    pub(super) fn ignores(&self, address: IpAddr) -> bool {
        self.shared.guard.admission(address.to_canonical()) == Admission::Ignored
    }

    /// Whether a client gets additional records that an answer can do without: only where its
    /// source is its own, so that nobody else is sent more than the answer.
    pub(super) fn gives_extras(
        &self,
        tail: &Tail,
        client: Option<&ClientEdns>,
        peer: &Peer,
    ) -> bool {
        tail.has_extras() && self.is_proven(client, peer)
    }

    /// Whether a client's source is its own: it is on a connection, or has shown a cookie that
    /// it was given here.
    fn is_proven(&self, client: Option<&ClientEdns>, peer: &Peer) -> bool {
        if peer.transport.is_stream() {
            return true;
        }
        let cookie = client.and_then(|client| client.cookie.as_ref());
        let cookies = &self.shared.edns.cookies;
        cookie.is_some_and(|cookie| cookie.is_own(cookies, peer.addr.ip(), now_s()))
    }

    /// The serial of the zones.
    pub(super) fn serial(&self) -> u32 {
        self.shared.responder.serial()
    }

    /// The signatures over a zone's SOA record as it is now.
    pub(super) fn soa_signatures(&self, zone: ZoneKind) -> Option<Arc<SoaSignatures>> {
        self.shared.responder.soa_signatures(zone)
    }

    /// The keys of signed zones.
    pub(super) fn dnssec(&self) -> &Dnssec {
        self.shared.responder.dnssec()
    }

    /// How answers are found.
    pub(super) fn resolver(&self) -> &Resolver {
        self.shared.responder.resolver()
    }
}

/// A reply's records behind its question.
pub(super) fn encode(asked: &Asked, reply: &Reply) -> Option<Tail> {
    let root = Name::root();
    let name = asked.question.as_ref().map_or(&root, |asked| &asked.name);
    let tail = Tail::new(name, reply).or_else(|error| {
        tracing::warn!(%error, "a DNS answer could not be encoded");
        Tail::new(name, &Reply::failed("the answer is too large"))
    });
    tail.ok()
}

/// What is answered to questions for a zone beyond its limit.
pub(super) fn beyond_zone_limit() -> Reply {
    Reply::refused(ErrorCode::Prohibited, "too many ask for this zone")
}

/// The question of a query that can be answered; otherwise the refusal.
fn admissible(asked: &Asked) -> Result<&Question, Box<Reply>> {
    let refuse = |outcome, rcode| Err(Box::new(Reply::bare(outcome, rcode)));
    if let Some(client) = &asked.edns {
        if client.version > edns::VERSION {
            return refuse(Outcome::BadVersion, ResponseCode::BADVERS);
        }
        if client.malformed {
            return refuse(Outcome::Malformed, ResponseCode::FormErr);
        }
    }
    if asked.opcode != u8::from(OpCode::Query) {
        let mut reply = Reply::bare(Outcome::NotImplemented, ResponseCode::NotImp);
        let text = "only queries are answered".to_owned();
        reply.error = Some(ExtendedError::new(ErrorCode::NotSupported, text));
        return Err(Box::new(reply));
    }
    let Some(question) = &asked.question else {
        // A client may ask for a cookie alone (RFC 7873 §5.4).
        let asks_for_cookie = asked
            .edns
            .as_ref()
            .is_some_and(|edns| edns.cookie.is_some());
        if asked.questions == 0 && asks_for_cookie {
            return refuse(Outcome::Answered, ResponseCode::NoError);
        }
        return refuse(Outcome::Malformed, ResponseCode::FormErr);
    };
    // These stand beside a question, never in it (RFC 6891 §6.1.1, RFC 8945 §4.2).
    if matches!(question.qtype, RecordType::OPT | RecordType::TSIG) {
        return refuse(Outcome::Malformed, ResponseCode::FormErr);
    }
    // A name that does not exist has this type, but nobody asks for it (RFC 9824 §3.5).
    if question.qtype == NXNAME {
        let mut reply = Reply::bare(Outcome::Malformed, ResponseCode::FormErr);
        let text = "NXNAME is no type to ask for".to_owned();
        reply.error = Some(ExtendedError::new(ErrorCode::InvalidQueryType, text));
        return Err(Box::new(reply));
    }
    if asked.qclass != DNSClass::IN {
        let text = "only class IN is served";
        return Err(Box::new(Reply::refused(ErrorCode::NotAuthoritative, text)));
    }
    Ok(question)
}

//! One exchange, from a query's bytes to its answer's, the same for every transport: which
//! requests are refused, how long they may take, how many may wait, how large answers may be.

use super::DnsOptions;
use super::answer::{Deferred, Question, Responder, Step};
use super::cookie::{Cookies, SECRET_BYTES};
use super::edns::{self, AnswerOptions, ServerEdns};
use super::encode::{AnswerFrame, Tail, question_section};
use super::meters::Meters;
use super::query::{Asked, Head, Read};
use super::reply::{ErrorCode, ExtendedError, Outcome, Reply};
use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// The greatest answer over UDP to those without EDNS (RFC 1035 §4.2.1), bytes.
pub(super) const MIN_UDP_PAYLOAD: u16 = 512;
/// The greatest answer over connections, bytes.
const MAX_MESSAGE_BYTES: usize = u16::MAX as usize;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// In a datagram: answers are bounded in size, and its source may be forged.
    Udp,
    /// On a connection.
    Tcp,
}

impl Transport {
    /// Whether it has connections: answers may have any size, and the source is no other's.
    pub(super) fn is_stream(self) -> bool {
        self != Self::Udp
    }

    /// Whether nobody on the way reads along, so that the size of answers may tell something
    /// (RFC 7830).
    pub(super) fn is_encrypted(self) -> bool {
        match self {
            Self::Udp | Self::Tcp => false,
        }
    }
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) addr: SocketAddr,
    pub(super) transport: Transport,
}

/// Answers queries; a handle to one shared state.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    responder: Responder,
    edns: ServerEdns,
    deadline: Duration,
    waiting: Semaphore,
    max_waiting: u32,
    draining: AtomicBool,
    meters: Meters,
}

/// What became of a query at once.
#[derive(Debug)]
pub(super) enum Begun {
    /// It has its answer, or draws none.
    Done(Option<Vec<u8>>),
    /// The disk must be asked.
    Wait(Box<Waiting>),
}

/// A query that waits for the disk.
#[derive(Debug)]
pub(super) struct Waiting {
    asked: Asked,
    question: Question,
    deferred: Deferred,
    peer: Peer,
    began: Instant,
}

impl Exchange {
    /// # Errors
    /// The system has no random numbers for a secret.
    pub(super) fn new(
        responder: Responder,
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
            edns,
            deadline,
            waiting: Semaphore::new(max_waiting as usize),
            max_waiting,
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

    /// Ignores UDP queries from now on, so that they are asked elsewhere, and waits for those
    /// under way.
    pub(super) async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
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

    /// Answers one query; `None`: it draws no answer.
    pub(super) async fn answer(&self, query: &[u8], peer: &Peer) -> Option<Vec<u8>> {
        let began = Instant::now();
        match self.begin(query, peer) {
            Begun::Done(answer) => {
                self.shared.meters.took(began.elapsed(), 1);
                answer
            }
            Begun::Wait(waiting) => self.finish(*waiting).await,
        }
    }

    /// The answer that memory knows, or what must be waited for. Never waits.
    pub(super) fn begin(&self, query: &[u8], peer: &Peer) -> Begun {
        let asked = match Asked::read(query, peer.addr) {
            Read::Query(asked) => *asked,
            Read::Malformed(head) => {
                self.shared.meters.count(Outcome::Malformed);
                return Begun::Done(Some(format_error(head)));
            }
            Read::Nothing => return Begun::Done(None),
        };
        let question = match admissible(&asked) {
            Ok(question) => question.clone(),
            Err(refusal) => return Begun::Done(self.write(&asked, &refusal, peer)),
        };
        match self.shared.responder.try_answer(&question) {
            Step::Done(reply) => Begun::Done(self.write(&asked, &reply, peer)),
            Step::Wait(deferred) => Begun::Wait(Box::new(Waiting {
                asked,
                question,
                deferred,
                peer: *peer,
                began: Instant::now(),
            })),
        }
    }

    /// Goes on with what memory did not know.
    pub(super) async fn finish(&self, waiting: Waiting) -> Option<Vec<u8>> {
        let shared = &self.shared;
        let reply = match shared.waiting.try_acquire() {
            Ok(_waiting) => {
                let finished = shared.responder.finish(&waiting.question, waiting.deferred);
                tokio::time::timeout(shared.deadline, finished)
                    .await
                    .unwrap_or_else(|_| Reply::failed("the registry took too long"))
            }
            Err(_) => {
                shared.meters.waiting_bound.increment(1);
                Reply::failed("too many queries wait for the disk")
            }
        };
        let answer = self.write(&waiting.asked, &reply, &waiting.peer);
        shared.meters.took(waiting.began.elapsed(), 1);
        answer
    }

    /// Encodes a reply for one client.
    fn write(&self, asked: &Asked, reply: &Reply, peer: &Peer) -> Option<Vec<u8>> {
        self.shared.meters.count(reply.outcome);
        let root = Name::root();
        let name = asked.question.as_ref().map_or(&root, |asked| &asked.name);
        let tail = Tail::new(name, reply)
            .or_else(|error| {
                tracing::warn!(%error, "a DNS answer could not be encoded");
                Tail::new(name, &Reply::failed("the answer is too large"))
            })
            .ok()?;
        let question = asked
            .question
            .as_ref()
            .map(|question| question_section(&question.name, question.qtype, asked.qclass));
        let frame = AnswerFrame {
            head: asked.head,
            question: question.as_deref().unwrap_or_default(),
            serial: None,
            edns: asked.edns.as_ref().map(|client| {
                let options = AnswerOptions {
                    client,
                    address: peer.addr.ip(),
                    now_s: now_s(),
                    is_connection: peer.transport.is_stream(),
                    own: &[],
                };
                (&self.shared.edns, options)
            }),
            padded: peer.transport.is_encrypted()
                && asked.edns.as_ref().is_some_and(|edns| edns.padding),
            limit: self.size_limit(asked, peer.transport),
        };
        let mut out = Vec::with_capacity(usize::from(MIN_UDP_PAYLOAD));
        if tail.write(&frame, &mut out) {
            self.shared.meters.truncated.increment(1);
        }
        Some(out)
    }

    /// The greatest message the client takes, bytes.
    fn size_limit(&self, asked: &Asked, transport: Transport) -> usize {
        if transport.is_stream() {
            return MAX_MESSAGE_BYTES;
        }
        let most = self.shared.edns.max_payload;
        let limit = asked.edns.as_ref().map_or(MIN_UDP_PAYLOAD, |edns| {
            edns.max_payload.clamp(MIN_UDP_PAYLOAD, most)
        });
        usize::from(limit)
    }
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
    // Whoever signs wants a signed answer, and there is no key to sign with (RFC 8945 §5.2.1).
    if asked.is_signed {
        return refuse(Outcome::Refused, ResponseCode::NotAuth);
    }
    if asked.qclass != DNSClass::IN {
        let text = "only class IN is served";
        return Err(Box::new(Reply::refused(ErrorCode::NotAuthoritative, text)));
    }
    Ok(question)
}

/// FORMERR as a bare header, to what cannot be read further.
fn format_error(head: Head) -> Vec<u8> {
    let [id_high, id_low] = head.id;
    let [first, _] = head.flags;
    let rcode = ResponseCode::FormErr.low();
    vec![id_high, id_low, first, rcode, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Seconds since the Unix epoch, modulo 2³².
pub(super) fn now_s() -> u32 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}

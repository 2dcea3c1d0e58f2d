//! A request's frame: its header and EDNS (RFC 6891), how long it may take, how many may wait,
//! how large the answer may be.

use super::DnsOptions;
use super::answer::{Question, Responder, Step};
use super::reply::{ErrorCode, ExtendedError, Outcome, Reply};
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use metrics::{Counter, Histogram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The EDNS version spoken (RFC 6891 §6.1.3).
const EDNS_VERSION: u8 = 0;
/// The greatest answer over UDP to those without EDNS (RFC 1035 §4.2.1).
const MIN_UDP_PAYLOAD: u16 = 512;
/// A message's header and, beside the question, the OPT record and an extended error, bytes.
const FRAME_BOUND_BYTES: usize = 12 + 11 + 6 + 160;

/// Answers requests; a handle to one shared state.
#[derive(Debug, Clone)]
pub(super) struct Handler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    responder: Responder,
    deadline: Duration,
    max_udp_payload: u16,
    waiting: Semaphore,
    max_waiting: u32,
    draining: AtomicBool,
    meters: Meters,
}

/// Metric handles, made once.
struct Meters {
    outcomes: [Counter; Outcome::ALL.len()],
    latency_us: Histogram,
    waiting_bound: Counter,
    truncated: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    fn new() -> Self {
        Self {
            outcomes: Outcome::ALL.map(|(_, outcome)| {
                metrics::counter!("idnode_requests_total", "front" => "dns", "outcome" => outcome)
            }),
            latency_us: metrics::histogram!("idnode_request_latency_us", "front" => "dns"),
            waiting_bound: metrics::counter!("idnode_bound_hits_total", "bound" => "dns_waiting_queries"),
            truncated: metrics::counter!("idnode_bound_hits_total", "bound" => "dns_answer_size"),
        }
    }

    fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.increment(1);
        }
    }
}

impl Handler {
    pub(super) fn new(responder: Responder, options: &DnsOptions, deadline: Duration) -> Self {
        let most = options.max_waiting_queries.min(Semaphore::MAX_PERMITS);
        let max_waiting = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let shared = Shared {
            responder,
            deadline,
            max_udp_payload: options.max_udp_payload.max(MIN_UDP_PAYLOAD),
            waiting: Semaphore::new(max_waiting as usize),
            max_waiting,
            draining: AtomicBool::new(false),
            meters: Meters::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
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

    /// Counts a message that could not be parsed.
    pub(super) fn count_malformed(&self) {
        self.shared.meters.count(Outcome::Malformed);
    }

    async fn reply_to(&self, request: &Request) -> Reply {
        let question = match question_of(request) {
            Ok(question) => question,
            Err(refusal) => return *refusal,
        };
        let shared = &self.shared;
        let deferred = match shared.responder.try_answer(&question) {
            Step::Done(reply) => return reply,
            Step::Wait(deferred) => deferred,
        };
        let Ok(_waiting) = shared.waiting.try_acquire() else {
            shared.meters.waiting_bound.increment(1);
            return Reply::failed("too many queries wait for the disk");
        };
        let finished = shared.responder.finish(&question, deferred);
        match tokio::time::timeout(shared.deadline, finished).await {
            Ok(reply) => reply,
            Err(_) => Reply::failed("the registry took too long"),
        }
    }

    /// The EDNS part of the answer; none to those who sent none (RFC 6891 §6.1.1).
    fn edns_for(&self, request: &Request, reply: &Reply) -> Option<Edns> {
        let asked = request.edns.as_ref()?;
        let mut edns = Edns::new();
        edns.set_version(EDNS_VERSION)
            .set_max_payload(self.shared.max_udp_payload)
            .set_dnssec_ok(asked.flags().dnssec_ok);
        if let Some(error) = &reply.error {
            edns.options_mut().insert(error.option());
        }
        Some(edns)
    }

    /// The greatest message the client takes, bytes.
    fn size_limit(&self, request: &Request) -> usize {
        let limit = match (request.protocol(), &request.edns) {
            (Protocol::Udp, Some(edns)) => edns
                .max_payload()
                .clamp(MIN_UDP_PAYLOAD, self.shared.max_udp_payload),
            (Protocol::Udp, None) => MIN_UDP_PAYLOAD,
            _ => u16::MAX,
        };
        usize::from(limit)
    }

    async fn send<R: ResponseHandler>(
        &self,
        request: &Request,
        reply: Reply,
        mut to: R,
    ) -> ResponseInfo {
        let limit = self.size_limit(request);
        let edns = self.edns_for(request, &reply);
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = reply.rcode;
        metadata.authoritative = reply.authoritative;
        let draft = Draft {
            request,
            metadata,
            edns: edns.as_ref(),
        };
        let reply = draft.fitted(reply, limit);
        if reply.is_none() {
            self.shared.meters.truncated.increment(1);
            metadata.truncation = true;
        }
        let (answers, authorities, additionals) =
            reply.as_ref().map_or((&[][..], &[][..], &[][..]), |r| {
                (&r.answers, &r.authorities, &r.additionals)
            });
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            answers,
            authorities,
            None::<&Record>,
            additionals,
        );
        match to.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "a DNS answer could not be sent");
                Header {
                    metadata,
                    counts: HeaderCounts::default(),
                }
                .into()
            }
        }
    }
}

#[tonic::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response_handle: R,
    ) -> ResponseInfo {
        let began = Instant::now();
        if self.shared.draining.load(Ordering::Acquire) && request.protocol() == Protocol::Udp {
            let metadata = Metadata::response_from_request(&request.metadata);
            return Header {
                metadata,
                counts: HeaderCounts::default(),
            }
            .into();
        }
        let reply = self.reply_to(request).await;
        self.shared.meters.count(reply.outcome);
        let info = self.send(request, reply, response_handle).await;
        self.shared
            .meters
            .latency_us
            .record(began.elapsed().as_micros() as f64);
        info
    }
}

/// The question of a request that can be answered; otherwise the refusal.
fn question_of(request: &Request) -> Result<Question, Box<Reply>> {
    let refuse = |outcome, rcode| Err(Box::new(Reply::bare(outcome, rcode)));
    if request
        .edns
        .as_ref()
        .is_some_and(|edns| edns.version() > EDNS_VERSION)
    {
        return refuse(Outcome::BadVersion, ResponseCode::BADVERS);
    }
    if request.metadata.op_code != OpCode::Query {
        let mut reply = Reply::bare(Outcome::NotImplemented, ResponseCode::NotImp);
        let text = "only queries are answered".to_owned();
        reply.error = Some(ExtendedError::new(ErrorCode::NotSupported, text));
        return Err(Box::new(reply));
    }
    let [query] = request.queries.queries() else {
        return refuse(Outcome::Malformed, ResponseCode::FormErr);
    };
    // These stand beside a question, never in it (RFC 6891 §6.1.1, RFC 8945 §4.2).
    if matches!(query.query_type(), RecordType::OPT | RecordType::TSIG) {
        return refuse(Outcome::Malformed, ResponseCode::FormErr);
    }
    // Whoever signs wants a signed answer, and there is no key to sign with (RFC 8945 §5.2.1).
    if request
        .additionals
        .iter()
        .any(|record| record.record_type() == RecordType::TSIG)
    {
        return refuse(Outcome::Refused, ResponseCode::NotAuth);
    }
    if query.query_class() != DNSClass::IN {
        let text = "only class IN is served";
        return Err(Box::new(Reply::refused(ErrorCode::NotAuthoritative, text)));
    }
    Ok(Question {
        name: query.original().name().clone(),
        qtype: query.query_type(),
    })
}

/// An answer that is not sent yet, to be measured.
struct Draft<'a> {
    request: &'a Request,
    metadata: Metadata,
    edns: Option<&'a Edns>,
}

impl Draft<'_> {
    /// The reply if it fits, without its additional records if only so; `None`: it does not,
    /// and an empty, truncated answer sends the client to TCP. Sets of records are never cut
    /// (RFC 2181 §9).
    fn fitted(&self, mut reply: Reply, limit: usize) -> Option<Reply> {
        let question = self.request.queries.as_bytes().len();
        if FRAME_BOUND_BYTES + question + reply.size_bound() <= limit || self.size(&reply) <= limit
        {
            return Some(reply);
        }
        // A referral is of no use without its glue (RFC 9471).
        if reply.outcome == Outcome::Referred || reply.additionals.is_empty() {
            return None;
        }
        reply.additionals.clear();
        (self.size(&reply) <= limit).then_some(reply)
    }

    /// The size of the encoded message, bytes; more than any limit if it cannot be encoded.
    fn size(&self, reply: &Reply) -> usize {
        let mut bytes = Vec::with_capacity(usize::from(MIN_UDP_PAYLOAD));
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(u16::MAX);
        let message = MessageResponseBuilder::new(&self.request.queries, self.edns).build(
            self.metadata,
            &reply.answers,
            &reply.authorities,
            None::<&Record>,
            &reply.additionals,
        );
        match message.destructive_emit(&mut encoder) {
            Ok(info) if !info.truncation => bytes.len(),
            _ => usize::MAX,
        }
    }
}

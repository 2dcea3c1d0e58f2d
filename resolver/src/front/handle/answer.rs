//! A request's bytes to its answer's bytes, whatever they came over.
//!
//! [`Answerer::try_answer`] never waits: a loop over datagrams calls it in place and hands the
//! few messages that need the disk to [`Answerer::answer`].

use super::metrics::{Bound, Metrics, Outcome};
pub(super) use crate::clock::now_s;
use crate::front::Core;
use crate::resolve::{Answer, Filter, Query};
use crate::trust::Verdicts;
use idnode_proto::handle::{
    Envelope, FrameError, OpFlags, RefusedRequest, Reply, ReplyTo, Request, ResolveRequest,
    ResponseCode, Site, Transport, decode_request,
};
use idnode_proto::identifier::Identifier;
use idnode_registry::Caller;
use std::sync::Arc;
use std::time::Instant;

/// The longest text of an error, bytes: with it, every error is a single datagram.
const MAX_ERROR_TEXT: usize = 380;
/// The longest text in the answer to what is no request, bytes: junk with a forged source must
/// not make this node send much more than it was sent.
const MAX_REFUSAL_TEXT: usize = 120;
/// An answer holds at least this long, seconds: one client refuses an answer whose expiration is
/// past by its own clock, which may be fast.
const MIN_EXPIRATION_S: u32 = 300;
/// An answer holds at most this long, seconds.
pub(super) const MAX_EXPIRATION_S: u32 = 86_400;
/// The site serial of a node without site information.
const SERIAL_UNKNOWN: u16 = 0xffff;

/// Everyone who asks, as long as this front has no log-in.
static STRANGER: Caller = Caller::Stranger;

/// Buffers kept from one request to the next, so that answering allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) reply: Vec<u8>,
    pub(super) values: Vec<u8>,
}

impl Scratch {
    /// The answers appended so far, each a whole message, envelope first.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Forgets the answers, not the memory.
    pub fn clear(&mut self) {
        self.reply.clear();
    }

    /// Gives memory beyond `capacity` bytes a buffer back; forgets the answers if it does.
    pub fn shrink(&mut self, capacity: usize) {
        for buffer in [&mut self.reply, &mut self.values] {
            if buffer.capacity() > capacity {
                *buffer = Vec::new();
            }
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Attempt {
    /// Its answer has been appended to the scratch.
    Done,
    /// It is an answer itself and gets none, lest two servers talk for ever.
    Silent,
    /// Memory does not know: ask [`Answerer::answer`]. Nothing has been appended.
    NeedsDisk,
}

/// Answers requests.
#[derive(Debug)]
pub struct Answerer {
    core: Arc<Core>,
    site_serial: u16,
    primary: bool,
    pub(super) metrics: Metrics,
    verdicts: Option<Arc<Verdicts>>,
}

impl Answerer {
    /// Over a core whose [`crate::resolve::Resolver::own_site`] is what site information says.
    pub fn new(core: Arc<Core>) -> Self {
        let site = Site::decode(core.resolver.own_site()).ok();
        Self {
            site_serial: site.as_ref().map_or(SERIAL_UNKNOWN, |site| site.serial),
            primary: site.is_some_and(|site| site.primary),
            metrics: Metrics::new(),
            verdicts: None,
            core,
        }
    }

    /// The same with somebody who says whether an answer is trusted.
    pub fn with_verdicts(self, verdicts: Option<Arc<Verdicts>>) -> Self {
        Self { verdicts, ..self }
    }

    /// Answers one whole message, envelope first, if memory alone can. Never waits.
    pub fn try_answer(
        &self,
        message: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Attempt {
        let began = Instant::now();
        let outcome = match self.read(message, transport, scratch) {
            Err(outcome) => outcome,
            // Signatures take longer to verify than a datagram loop has time for.
            Ok(question) if question.asks_for_trust() && self.verdicts.is_some() => {
                return Attempt::NeedsDisk;
            }
            Ok(question) => match self.core.resolver.try_resolve(&question.query()) {
                Some(answer) => self.write(&question, answer, scratch),
                None => return Attempt::NeedsDisk,
            },
        };
        self.finish(outcome, began)
    }

    /// Answers one whole message, from the disk if need be; never [`Attempt::NeedsDisk`]. What
    /// takes longer than the node's request deadline is answered with code 3 (busy).
    pub async fn answer(
        &self,
        message: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Attempt {
        let began = Instant::now();
        let outcome = match self.read(message, transport, scratch) {
            Err(outcome) => outcome,
            Ok(mut question) => {
                let resolving = self.resolve(&question);
                match tokio::time::timeout(self.core.request_deadline, resolving).await {
                    Ok((answer, trusted)) => {
                        question.trusted = trusted;
                        self.write(&question, answer, scratch)
                    }
                    Err(_) => {
                        self.metrics.bound(Bound::Deadline);
                        let text = "the registry did not answer in time";
                        self.error(&question.to, ResponseCode::BUSY, text, scratch);
                        Outcome::Busy
                    }
                }
            }
        };
        self.finish(outcome, began)
    }

    /// The answer, and whether it is trusted, where that was asked.
    async fn resolve(&self, question: &Question<'_>) -> (idnode_registry::Result<Answer>, bool) {
        let answer = self.core.resolver.resolve(&question.query()).await;
        let trusted = match (&self.verdicts, &answer) {
            (Some(verdicts), Ok(Answer::Found(resolved))) if question.asks_for_trust() => {
                let (resolver, identifier) = (&self.core.resolver, &question.identifier);
                verdicts
                    .is_trusted(resolver, identifier, resolved, now_s())
                    .await
            }
            _ => false,
        };
        (answer, trusted)
    }

    /// Answers one whole message with code 3 (busy).
    pub fn busy(&self, message: &[u8], transport: Transport, scratch: &mut Scratch) -> Attempt {
        let began = Instant::now();
        let outcome = match decode_request(message, transport) {
            Ok(request) => {
                let text = "this node has as many requests as it takes";
                self.error(&request.reply_to, ResponseCode::BUSY, text, scratch);
                Outcome::Busy
            }
            Err(refused) => self.refuse(&refused, scratch),
        };
        self.finish(outcome, began)
    }

    /// Answers the start of a stream that cannot be cut into messages.
    pub fn refuse_stream(&self, start: &[u8], error: FrameError, scratch: &mut Scratch) {
        if matches!(error, FrameError::TooLong { .. }) {
            self.metrics.bound(Bound::MessageLength);
        }
        let envelope = Envelope::decode(start).unwrap_or(Envelope::EMPTY);
        let to = ReplyTo::envelope(&envelope);
        self.error(&to, error.code(), &error.to_string(), scratch);
        let _always_done = self.finish(Outcome::Invalid, Instant::now());
    }

    fn finish(&self, outcome: Outcome, began: Instant) -> Attempt {
        self.metrics.request(outcome, began.elapsed());
        if outcome == Outcome::Ignored {
            Attempt::Silent
        } else {
            Attempt::Done
        }
    }

    /// Reads a request down to the question for the core; what needs no core is answered here.
    fn read<'m>(
        &self,
        message: &'m [u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Result<Question<'m>, Outcome> {
        let request =
            decode_request(message, transport).map_err(|refused| self.refuse(&refused, scratch))?;
        let to = request.reply_to;
        match request.request {
            Request::Resolve(asked) => self.question(to, &asked, scratch),
            Request::SiteInfo => Err(self.site_info(&to, scratch)),
            Request::Other { op_code } => {
                let text = format!("{op_code} is not supported here");
                self.error(&to, ResponseCode::NOT_SUPPORTED, &text, scratch);
                Err(Outcome::Unsupported)
            }
        }
    }

    fn question<'m>(
        &self,
        to: ReplyTo,
        asked: &ResolveRequest<'m>,
        scratch: &mut Scratch,
    ) -> Result<Question<'m>, Outcome> {
        let identifier = Identifier::parse(asked.handle).map_err(|error| {
            self.error(
                &to,
                ResponseCode::INVALID_HANDLE,
                &error.to_string(),
                scratch,
            );
            Outcome::Invalid
        })?;
        let filter = Filter {
            types: asked
                .types
                .iter()
                .map(|asked| (*asked).to_owned())
                .collect(),
            indexes: asked.indexes.clone(),
        };
        Ok(Question {
            to,
            handle: asked.handle,
            identifier,
            filter,
            trusted: false,
        })
    }

    fn refuse(&self, refused: &RefusedRequest, scratch: &mut Scratch) -> Outcome {
        if !refused.fault.answerable() {
            return Outcome::Ignored;
        }
        let text = refused.to_string();
        let text = text
            .get(..text.floor_char_boundary(MAX_REFUSAL_TEXT))
            .unwrap_or_default();
        self.error(&refused.reply_to, refused.fault.code(), text, scratch);
        Outcome::Invalid
    }

    /// The site record as it is stored: it was encoded with TCP in front of UDP when the node
    /// was configured.
    fn site_info(&self, to: &ReplyTo, scratch: &mut Scratch) -> Outcome {
        let reply = self.reply(to, expiration_s(MAX_EXPIRATION_S, now_s()));
        let site = self.core.resolver.own_site();
        match reply.raw(&mut scratch.reply, ResponseCode::SUCCESS, site) {
            Ok(()) => Outcome::Site,
            Err(error) => self.failed(to, &error.to_string(), scratch),
        }
    }

    /// An error whose cause is in this node.
    pub(super) fn failed(&self, to: &ReplyTo, cause: &str, scratch: &mut Scratch) -> Outcome {
        tracing::error!(cause, "a Handle request could not be answered");
        self.error(
            to,
            ResponseCode::ERROR,
            "this node failed to answer; its log says why",
            scratch,
        );
        Outcome::Failed
    }

    pub(super) fn error(
        &self,
        to: &ReplyTo,
        code: ResponseCode,
        text: &str,
        scratch: &mut Scratch,
    ) {
        let text = text
            .get(..text.floor_char_boundary(MAX_ERROR_TEXT))
            .unwrap_or_default();
        let reply = self.reply(to, expiration_s(0, now_s()));
        // A text of this length always fits a message.
        let written = reply.error(&mut scratch.reply, code, text);
        debug_assert!(written.is_ok());
    }

    /// An answer about to be written; it is authoritative where that was asked for and this is a
    /// primary site.
    pub(super) fn reply<'t>(&self, to: &'t ReplyTo, expiration_s: u32) -> Reply<'t> {
        let mut reply = Reply::new(to, self.site_serial, expiration_s);
        // That trust was asked for is repeated: without, clients do not read the verdict.
        reply.flags = to.flags.and(OpFlags::TRUSTED_QUERY);
        if self.primary {
            reply.flags = reply.flags | to.flags.and(OpFlags::AUTHORITATIVE);
        }
        reply
    }
}

/// When an answer of this time to live expires, seconds since 1970.
pub(super) fn expiration_s(ttl_s: u32, now_s: u64) -> u32 {
    let lasts_s = ttl_s.clamp(MIN_EXPIRATION_S, MAX_EXPIRATION_S);
    u32::try_from(now_s + u64::from(lasts_s)).unwrap_or(u32::MAX)
}

/// A resolution asked for.
#[derive(Debug)]
pub(super) struct Question<'m> {
    pub(super) to: ReplyTo,
    /// As the client spells it, and as the answer repeats it.
    pub(super) handle: &'m str,
    identifier: Identifier,
    filter: Filter,
    /// Its values are signed up to the trusted root.
    pub(super) trusted: bool,
}

impl Question<'_> {
    /// Whether the client asks if the answer is trusted (DT).
    fn asks_for_trust(&self) -> bool {
        self.to.flags.contains(OpFlags::TRUSTED_QUERY)
    }

    pub(super) fn query(&self) -> Query<'_> {
        Query {
            identifier: &self.identifier,
            filter: &self.filter,
            caller: &STRANGER,
            public_only: self.to.flags.contains(OpFlags::PUBLIC_ONLY),
        }
    }
}

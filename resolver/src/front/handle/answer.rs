//! A request's bytes to its answer's bytes, whatever they came over.
//!
//! [`Answerer::consider`] never waits: desks call it in place; the few messages that need the disk
//! go to [`Answerer::answer`] or, from a thread that may wait, [`Answerer::answer_blocking`].

use super::certify::SiteKey;
use super::metrics::{Bound, Metrics, Outcome};
use super::operation::{Client, Operations};
pub(super) use crate::clock::now_s;
use crate::front::Core;
use crate::resolve::{self, Basis, Filter, Query, Resolver};
use crate::trust::Verdicts;
use idnode_proto::handle::{
    Envelope, FrameError, OpFlags, RefusedRequest, Reply, ReplyTo, Request, RequestFault,
    ResolveRequest, ResponseCode, SITE_SERIAL_UNKNOWN, Site, Transport, decode_request,
};
use idnode_proto::identifier::Identifier;
use idnode_registry::Caller;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The longest text of an error, bytes: with it, every error is a single datagram.
const MAX_ERROR_TEXT: usize = 380;
/// The longest text in the answer to what is no request, bytes: junk with a forged source must
/// not make this node send much more than it was sent.
const MAX_REFUSAL_TEXT: usize = 120;
/// An answer holds at least this long, seconds: one client refuses an answer whose expiration is
/// past by its own clock, which may be fast.
pub(super) const MIN_EXPIRATION_S: u32 = 300;
/// An answer holds at most this long, seconds.
pub(super) const MAX_EXPIRATION_S: u32 = 86_400;
/// The site serial of requests by which the ID-SDK says that it has none.
const SERIAL_OF_ID_SDK: u16 = 0;

/// Everyone who has not proven to be somebody.
static STRANGER: Caller = Caller::Stranger;

/// Buffers kept from one request to the next, so that answering allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) reply: Vec<u8>,
    pub(super) values: Vec<u8>,
}

impl Scratch {
    /// The answers appended so far, each a whole message, envelope first.
    pub(super) fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Forgets the answers, not the memory.
    pub(super) fn clear(&mut self) {
        self.reply.clear();
    }

    /// Gives memory beyond `capacity` bytes a buffer back; forgets the answers if it does.
    pub(super) fn shrink(&mut self, capacity: usize) {
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
pub(super) enum Attempt {
    /// Its answer has been appended to the scratch.
    Done,
    /// It is an answer itself and gets none, lest two servers talk for ever.
    Silent,
    /// Memory does not know. Nothing has been appended.
    NeedsDisk,
    /// Others are to be asked, or the client has to prove who it is, or it asks for more than
    /// resolution. Nothing has been appended.
    NeedsTask,
}

/// What a request comes to as far as memory knows.
#[derive(Debug)]
pub(super) enum Considered {
    /// Its answer has been appended, unless the outcome is [`Outcome::Ignored`]. With what the
    /// answer rests on, if the same will be answered while that stands.
    Answered(Outcome, Option<Basis>),
    /// As [`Attempt::NeedsTask`]: ask [`Answerer::answer`]. Nothing has been appended.
    NeedsTask,
    /// Memory does not know: ask [`Answerer::answer`]. Nothing has been appended.
    NeedsDisk,
}

/// Answers requests.
#[derive(Debug)]
pub(super) struct Answerer {
    pub(super) core: Arc<Core>,
    site_serial: u16,
    primary: bool,
    pub(super) operations: Operations,
    pub(super) metrics: Metrics,
    verdicts: Option<Arc<Verdicts>>,
    pub(super) site_key: Option<Arc<SiteKey>>,
    /// Where backups are made.
    pub(super) backups: PathBuf,
}

impl Answerer {
    /// Over a core whose [`crate::resolve::Resolver::own_site`] is what site information says.
    pub(super) fn new(core: Arc<Core>) -> Self {
        let site = Site::decode(core.resolver.own_site()).ok();
        Self {
            site_serial: site
                .as_ref()
                .map_or(SITE_SERIAL_UNKNOWN, |site| site.serial),
            primary: site.is_some_and(|site| site.primary),
            operations: Operations::default(),
            metrics: Metrics::new(),
            verdicts: None,
            site_key: None,
            backups: PathBuf::from("backups"),
            core,
        }
    }

    /// The same with somebody who says whether an answer is trusted.
    pub(super) fn with_verdicts(self, verdicts: Option<Arc<Verdicts>>) -> Self {
        Self { verdicts, ..self }
    }

    /// The same with a key that answers are signed with.
    pub(super) fn with_site_key(self, site_key: Option<Arc<SiteKey>>) -> Self {
        Self { site_key, ..self }
    }

    /// The same with backups made in a directory.
    pub(super) fn with_backups(self, backups: PathBuf) -> Self {
        Self { backups, ..self }
    }

    /// How answers are found.
    pub(super) fn resolver(&self) -> &Resolver {
        &self.core.resolver
    }

    /// Answers one whole message, envelope first, if memory alone can. Never waits, and counts
    /// nothing.
    pub(super) fn consider(
        &self,
        message: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Considered {
        let question = match self.read(message, transport, scratch) {
            Read::Answered(outcome) => return Considered::Answered(outcome, None),
            Read::Operation => return Considered::NeedsTask,
            Read::Question(question) => question,
        };
        if self.is_to_judge(&question) {
            return Considered::NeedsTask;
        }
        let resolver = &self.core.resolver;
        match resolver.try_resolve_with_basis(&question.query()) {
            None => Considered::NeedsDisk,
            Some(Ok((answer, _))) if question.needs_proof(&answer) => Considered::NeedsTask,
            Some(Ok((answer, basis))) => match self.beyond(&question, &answer) {
                None => {
                    let basis = (!holds_for_a_time(&answer)).then_some(basis);
                    Considered::Answered(self.write(&question, Ok(answer), scratch), basis)
                }
                Some(beyond) => match self.write_kept(&question, &beyond, scratch) {
                    Some(outcome) => Considered::Answered(outcome, None),
                    None => Considered::NeedsTask,
                },
            },
            Some(Err(error)) => {
                Considered::Answered(self.write(&question, Err(error), scratch), None)
            }
        }
    }

    /// Answers one whole message of a client's, whatever it asks for, from the disk or from others
    /// if need be: [`Attempt::Done`] or [`Attempt::Silent`]. What takes longer than the node's
    /// request deadline is answered with code 3 (busy).
    pub(super) async fn answer(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Attempt {
        let began = Instant::now();
        let outcome = self.operate(message, transport, client, scratch).await;
        self.finish(outcome, began)
    }

    /// Resolves for whoever asks; `None`: who it is must be proven before.
    pub(super) async fn resolve_for(
        &self,
        to: ReplyTo,
        asked: &ResolveRequest<'_>,
        caller: &Caller,
        scratch: &mut Scratch,
    ) -> Option<Outcome> {
        let mut question = match self.question(to, asked, caller, scratch) {
            Ok(question) => question,
            Err(outcome) => return Some(outcome),
        };
        let resolving = self.resolve_and_judge(&question);
        let resolved = tokio::time::timeout(self.core.request_deadline, resolving).await;
        let Ok((answer, trusted)) = resolved else {
            return Some(self.overdue(&question.to, scratch));
        };
        question.trusted = trusted;
        Some(match answer {
            Ok(answer) if question.needs_proof(&answer) => return None,
            Ok(answer) => match self.beyond(&question, &answer) {
                None => self.write(&question, Ok(answer), scratch),
                Some(beyond) => self.recurse(&mut question, beyond, &answer, scratch).await,
            },
            Err(error) => self.write(&question, Err(error), scratch),
        })
    }

    /// Whether it takes signatures to answer: longer than those have who answer in place.
    fn is_to_judge(&self, question: &Question<'_>) -> bool {
        self.verdicts_for(question).is_some()
    }

    /// Who judges the answer, if the client asks for that (DT).
    pub(super) fn verdicts_for(&self, question: &Question<'_>) -> Option<&Arc<Verdicts>> {
        let asked = question.to.flags.contains(OpFlags::TRUSTED_QUERY);
        self.verdicts.as_ref().filter(|_| asked)
    }

    /// The answer, and whether it is trusted, where that was asked.
    async fn resolve_and_judge(
        &self,
        question: &Question<'_>,
    ) -> (idnode_registry::Result<resolve::Answer>, bool) {
        let query = question.query();
        let answer = self.core.resolver.resolve(&query).await;
        let trusted = match (self.verdicts_for(question), &answer) {
            (Some(verdicts), Ok(resolve::Answer::Found(resolved))) => {
                let resolver = &self.core.resolver;
                verdicts
                    .is_trusted(resolver, &query, resolved, now_s())
                    .await
            }
            _ => false,
        };
        (answer, trusted)
    }

    /// Answers one whole message of a stranger's on a thread that may wait for the disk.
    /// [`Attempt::NeedsTask`]: it takes more than the disk. The message came at `began`; a read
    /// cannot be broken off, so that what is overdue is noticed before and after it.
    pub(super) fn answer_blocking(
        &self,
        message: &[u8],
        transport: Transport,
        began: Instant,
        scratch: &mut Scratch,
    ) -> Attempt {
        let is_overdue = || began.elapsed() > self.core.request_deadline;
        let outcome = match self.read(message, transport, scratch) {
            Read::Answered(outcome) => outcome,
            Read::Operation => return Attempt::NeedsTask,
            Read::Question(question) if self.is_to_judge(&question) => return Attempt::NeedsTask,
            Read::Question(question) if is_overdue() => self.overdue(&question.to, scratch),
            Read::Question(question) => {
                match self.core.resolver.resolve_blocking(&question.query()) {
                    _ if is_overdue() => self.overdue(&question.to, scratch),
                    Ok(answer)
                        if question.needs_proof(&answer)
                            || self.beyond(&question, &answer).is_some() =>
                    {
                        return Attempt::NeedsTask;
                    }
                    answer => self.write(&question, answer, scratch),
                }
            }
        };
        self.finish(outcome, began)
    }

    fn overdue(&self, to: &ReplyTo, scratch: &mut Scratch) -> Outcome {
        self.metrics.bound(Bound::Deadline);
        let text = "the registry did not answer in time";
        self.error(to, ResponseCode::BUSY, text, scratch);
        Outcome::Busy
    }

    /// Answers one whole message with code 3 (busy).
    pub(super) fn busy(
        &self,
        message: &[u8],
        transport: Transport,
        scratch: &mut Scratch,
    ) -> Attempt {
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
    pub(super) fn refuse_stream(&self, start: &[u8], error: FrameError, scratch: &mut Scratch) {
        if matches!(error, FrameError::TooLong { .. }) {
            self.metrics.bound(Bound::MessageLength);
        }
        let envelope = Envelope::decode(start).unwrap_or(Envelope::EMPTY);
        let to = ReplyTo::envelope(&envelope);
        self.error(&to, error.code(), &error.to_string(), scratch);
        let _always_done = self.finish(Outcome::Invalid, Instant::now());
    }

    pub(super) fn finish(&self, outcome: Outcome, began: Instant) -> Attempt {
        self.metrics.request(outcome, began.elapsed());
        if outcome == Outcome::Ignored {
            Attempt::Silent
        } else {
            Attempt::Done
        }
    }

    /// Reads a stranger's request down to the question for the core; what needs no core is
    /// answered here.
    fn read<'m>(&self, message: &'m [u8], transport: Transport, scratch: &mut Scratch) -> Read<'m> {
        let request = match decode_request(message, transport) {
            Ok(request) => request,
            Err(refused) if refused.fault == RequestFault::Encrypted => return Read::Operation,
            // Errors are signed, too.
            Err(_) if self.wants_certified(message) => return Read::Operation,
            Err(refused) => return Read::Answered(self.refuse(&refused, scratch)),
        };
        let to = request.reply_to;
        match request.request {
            _ if !request.message.credential.is_empty() => Read::Operation,
            _ if self.certifies(to.flags) => Read::Operation,
            // By what session?
            _ if to.flags.contains(OpFlags::ENCRYPT) => Read::Operation,
            Request::Resolve(asked) => match self.question(to, &asked, &STRANGER, scratch) {
                Ok(question) => Read::Question(question),
                Err(outcome) => Read::Answered(outcome),
            },
            Request::SiteInfo => Read::Answered(self.site_info(&to, scratch)),
            Request::Other { .. } => Read::Operation,
        }
    }

    fn question<'m>(
        &self,
        to: ReplyTo,
        asked: &ResolveRequest<'m>,
        caller: &'m Caller,
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
            caller,
            trusted: false,
        })
    }

    pub(super) fn refuse(&self, refused: &RefusedRequest, scratch: &mut Scratch) -> Outcome {
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
    pub(super) fn site_info(&self, to: &ReplyTo, scratch: &mut Scratch) -> Outcome {
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
        let code = match code {
            // What led the client here may say by now who is responsible.
            ResponseCode::NOT_RESPONSIBLE if self.is_stale(to.site_serial) => {
                ResponseCode::STALE_SITE
            }
            code => code,
        };
        let reply = self.reply(to, expiration_s(0, now_s()));
        // A text of this length always fits a message.
        let written = reply.error(&mut scratch.reply, code, text);
        debug_assert!(written.is_ok());
    }

    /// Whether a client has come here by site information that has changed since.
    fn is_stale(&self, serial: u16) -> bool {
        let unknown = [SITE_SERIAL_UNKNOWN, SERIAL_OF_ID_SDK];
        serial != self.site_serial && !unknown.contains(&serial)
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

/// What a message is, as far as it can be told without waiting.
enum Read<'m> {
    /// It has been answered.
    Answered(Outcome),
    /// A resolution.
    Question(Question<'m>),
    /// More than that, from somebody who may be more than a stranger, or to be signed.
    Operation,
}

/// Whether an answer's expiration depends on more than the time at which it is given.
fn holds_for_a_time(answer: &resolve::Answer) -> bool {
    matches!(answer, resolve::Answer::Found(resolved) if resolved.has_absolute_ttl())
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
    pub(super) identifier: Identifier,
    filter: Filter,
    caller: &'m Caller,
    /// Its values are signed up to the trusted root.
    pub(super) trusted: bool,
}

impl Question<'_> {
    /// Whether a stranger has asked, and not for public values alone, for what it may see only if
    /// it is somebody: it is to prove who it is (RFC 3652 §3.2.1).
    fn needs_proof(&self, answer: &resolve::Answer) -> bool {
        let resolve::Answer::Found(resolved) = answer else {
            return false;
        };
        let query = self.query();
        !query.public_only && *self.caller == Caller::Stranger && resolved.withheld(&query)
    }

    pub(super) fn query(&self) -> Query<'_> {
        Query {
            identifier: &self.identifier,
            filter: &self.filter,
            caller: self.caller,
            public_only: self.to.flags.contains(OpFlags::PUBLIC_ONLY),
        }
    }
}

//! Operations beyond resolution and site information: changes, lists, challenges and what answers
//! them, log-ins and sessions (RFC 3652 §3.5 to §3.8).
//!
//! A request comes with who its connection or session has proven to be. Where that is a stranger
//! and the operation needs more, it is challenged; the answer to the challenge carries it out.
//!
//! | module | holds |
//! |---|---|
//! | `client` | what is known of a client, and the challenges it has to answer |
//! | `proof` | challenges, and checking what answers them |
//! | `seen` | which messages of a session there were |
//! | `sessions` | keys that only node and client have |
//! | `agreement` | how a session gets its key, and encrypting what is answered in it |
//! | `write` | operations as the registry's commands |
//! | `together` | changes that come one behind the other |
//! | `list` | handles and prefixes, in as many messages as they take |
//! | `mirror` | transactions, dumps and backups |

mod agreement;
mod client;
mod list;
mod mirror;
mod proof;
mod seen;
mod sessions;
mod together;
mod write;

use super::answer::{Answerer, Scratch, expiration_s, now_s};
use super::metrics::Outcome;
use crate::front::code::code_of;
use client::Challenges;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::agreement::ExchangeKey;
use idnode_proto::handle::auth::credential::Credential;
use idnode_proto::handle::body::Operation;
use idnode_proto::handle::body::change::encode_created;
use idnode_proto::handle::{
    Envelope, Message, OpCode, OpFlags, ReplyTo, Request, RequestFault, RequestMessage,
    ResponseCode, Transport, decode_request,
};
use idnode_registry::write::Receipt;
use idnode_registry::{Caller, Error};
use mirror::Mirrors;
use sessions::{NoSession, Session, Sessions};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OnceCell;

pub(super) use client::Client;

/// Why a message of a session is not taken a second time.
const REPEATED: &str = "the session has had a message of this number";

/// What the operations of all clients share.
#[derive(Debug, Default)]
pub(super) struct Operations {
    challenges: Challenges,
    sessions: Sessions,
    mirrors: Mirrors,
    /// What clients encrypt the keys of sessions to.
    exchange_key: OnceCell<Arc<ExchangeKey>>,
}

/// For whom a request is carried out.
struct Act<'a> {
    to: ReplyTo,
    caller: &'a Caller,
    /// The administrator that the caller has proven to be, if it has logged in.
    identity: Option<&'a AdminId>,
    /// The session whose key the request came with.
    session: Option<u32>,
    transport: Transport,
    /// Where it comes from, if that cannot be forged.
    source: Option<IpAddr>,
}

impl Answerer {
    /// Answers a whole message of a client's, whatever it asks for.
    pub(super) async fn operate(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (begin, mut signed) = (scratch.reply.len(), None);
        let Ok(envelope) = Envelope::decode(message) else {
            return self
                .plain(message, transport, client, &mut signed, scratch)
                .await;
        };
        if !envelope.flags.encrypted() {
            let outcome = self
                .plain(message, transport, client, &mut signed, scratch)
                .await;
            let flags = Message::decode(message).map(|it| it.header.flags);
            let flags = flags.unwrap_or_default();
            return match signed {
                Some(session) if flags.contains(OpFlags::ENCRYPT) => {
                    self.seal(
                        message, transport, client, &session, begin, outcome, scratch,
                    )
                    .await
                }
                Some(session) if self.certifies_by_session(flags) => {
                    if let Some(listing) = &mut client.listing {
                        listing.signed_by(session.clone());
                    }
                    let to = ReplyTo::envelope(&envelope);
                    self.mac_or_fail(&session, &to, begin, outcome, scratch)
                }
                _ => match self.to_certify(message, transport, client.take_certified()) {
                    Some(to) => self.certify(&to, begin, outcome, scratch).await,
                    None => outcome,
                },
            };
        }
        let to = ReplyTo::envelope(&envelope);
        let session = match self.operations.sessions.get(envelope.session_id) {
            Ok(session) => session,
            Err(none) => return self.no_session(&to, none, scratch),
        };
        let opened = match session.agreed() {
            Ok(agreed) => agreed.key.decrypt_message(message),
            Err(none) => return self.no_session(&to, none, scratch),
        };
        if opened.is_err() {
            session.could_not_open();
        }
        let Ok(opened) = opened else {
            let text = "the message is not this session's";
            self.error(&to, ResponseCode::INVALID_SESSION_KEY, text, scratch);
            return Outcome::Invalid;
        };
        if !session.accepts(envelope.request_id) {
            self.error(&to, ResponseCode::REPEATED_MESSAGE, REPEATED, scratch);
            return Outcome::Invalid;
        }
        self.within(&opened, transport, client, &session, scratch)
            .await
    }

    fn no_session(&self, to: &ReplyTo, none: NoSession, scratch: &mut Scratch) -> Outcome {
        let (code, text) = none.told();
        self.error(to, code, text, scratch);
        Outcome::Invalid
    }

    /// Answers what was encrypted for a session; the answer is, too.
    async fn within(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        session: &Arc<Session>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (begin, mut by) = (scratch.reply.len(), Some(session.clone()));
        let outcome = self
            .plain(message, transport, client, &mut by, scratch)
            .await;
        self.seal(message, transport, client, session, begin, outcome, scratch)
            .await
    }

    /// Encrypts the answers from `begin` on for a session, signed where the client wants it: first
    /// signed, so that who has the key can show them to others.
    #[allow(clippy::too_many_arguments, reason = "the parts of one exchange")]
    async fn seal(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        session: &Arc<Session>,
        begin: usize,
        mut outcome: Outcome,
        scratch: &mut Scratch,
    ) -> Outcome {
        if let Some(listing) = &mut client.listing {
            listing.sealed_for(session.clone());
        }
        self.mark_sealed(begin, scratch);
        if let Some(to) = self.to_certify(message, transport, client.take_certified()) {
            outcome = self.certify(&to, begin, outcome, scratch).await;
            // Where that failed, another answer is in its place.
            self.mark_sealed(begin, scratch);
        }
        match self.seal_or_fail(session, begin, scratch) {
            true => outcome,
            false => {
                let to = Envelope::decode(message).map(|it| ReplyTo::envelope(&it));
                match to {
                    Ok(to) => self.failed(&to, "an answer could not be encrypted", scratch),
                    Err(_) => Outcome::Failed,
                }
            }
        }
    }

    /// Answers a message that is not encrypted, or no longer. `by`: the session that it was encrypted
    /// for; afterwards that which has signed it, if one has.
    async fn plain(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        by: &mut Option<Arc<Session>>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let mut request = match decode_request(message, transport) {
            Ok(request) => request,
            Err(refused) => return self.refuse(&refused, scratch),
        };
        if request.message.header.op_code == OpCode::CHALLENGE_ANSWER {
            let challenges = &self.operations.challenges;
            let challenged = challenges.operation(client, request.reply_to.session_id);
            request.reply_to.op_code = challenged.unwrap_or(OpCode::LOGIN);
        }
        match self.session_of(&request, by.is_some()) {
            Ok(None) => {}
            Ok(signed) => *by = signed,
            Err(code) => {
                let text = match code {
                    ResponseCode::REPEATED_MESSAGE => REPEATED,
                    _ => "the message's credential is none of this node's sessions",
                };
                self.error(&request.reply_to, code, text, scratch);
                return Outcome::Invalid;
            }
        }
        let session = by.as_deref();
        if session.is_none() && wants_secrecy(&request) {
            let text = "an answer can only be encrypted in a session";
            self.error(
                &request.reply_to,
                ResponseCode::SESSION_FAILED,
                text,
                scratch,
            );
            return Outcome::Invalid;
        }
        // Whose session is nobody's is as good as its connection: who has its key has logged in there.
        let agreed = session
            .and_then(|session| session.agreed().ok())
            .filter(|agreed| agreed.caller != Caller::Stranger);
        // What was proven long ago may have been revoked.
        let caller = agreed
            .map_or(&client.caller, |agreed| &agreed.caller)
            .clone();
        if let Err(error) = self.core.registry.require_valid(&caller) {
            if agreed.is_none() {
                client.log_out();
            }
            return self.registry_error(&request.reply_to, &error, scratch);
        }
        let identity = agreed.map_or(&client.identity, |agreed| &agreed.identity);
        let identity = identity.clone();
        let act = Act {
            to: request.reply_to,
            caller: &caller,
            identity: identity.as_ref(),
            session: session.map(|_| request.message.envelope.session_id),
            transport,
            source: client.source,
        };
        match request.request {
            Request::Other { .. } => match request.operation() {
                Ok(operation) => {
                    let carried =
                        self.operation(operation, &request, message, &act, client, scratch);
                    carried.await
                }
                Err(fault) => self.unreadable(&act.to, fault, scratch),
            },
            _ => {
                let carried = self.carry_out(&request, message, &act, client, scratch);
                carried.await
            }
        }
    }

    /// The session whose key has signed a message; `None`: it is not signed.
    fn session_of(
        &self,
        request: &RequestMessage<'_>,
        encrypted: bool,
    ) -> Result<Option<Arc<Session>>, ResponseCode> {
        let message = &request.message;
        if encrypted || message.credential.is_empty() {
            return Ok(None);
        }
        let credential =
            Credential::decode(message.credential).map_err(|_| ResponseCode::INVALID_CREDENTIAL)?;
        let session_id = message.envelope.session_id;
        let session = self.operations.sessions.get(session_id);
        let session = session.map_err(|none| match none {
            NoSession::Unknown => ResponseCode::INVALID_CREDENTIAL,
            none => none.told().0,
        })?;
        let agreed = session.agreed().map_err(|none| none.told().0)?;
        credential
            .verify_mac(session_id, agreed.key.bytes(), message.signed)
            .map_err(|_| ResponseCode::INVALID_CREDENTIAL)?;
        match session.accepts(message.envelope.request_id) {
            true => Ok(Some(session)),
            false => Err(ResponseCode::REPEATED_MESSAGE),
        }
    }

    /// Answers what is neither resolution nor site information.
    async fn operation(
        &self,
        operation: Operation<'_>,
        request: &RequestMessage<'_>,
        message: &[u8],
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        match operation {
            Operation::LogIn(it) => match AdminId::of(it.handle, it.index) {
                Ok(id) => self.challenge(request, &[], Some(id), act, client, scratch),
                Err(error) => {
                    let code = ResponseCode::INVALID_HANDLE;
                    self.error(&act.to, code, &error.to_string(), scratch);
                    Outcome::Invalid
                }
            },
            Operation::LogInWithPassword(it) => {
                self.log_in_by_password(&it, act, client, scratch).await
            }
            Operation::AnswerChallenge(it) => self.prove(&it, act, client, scratch).await,
            Operation::VerifyAnswer(it) => self.verify(&it, act, scratch).await,
            Operation::SetUpSession(it) => self.set_up(&it, act, scratch).await,
            // Only from within: nobody ends another's.
            Operation::TerminateSession => match act.session {
                Some(session_id) => {
                    self.operations.sessions.close(session_id);
                    self.done(&act.to, &[], scratch)
                }
                None => {
                    let text = "a session is ended by a message of its own";
                    self.error(&act.to, ResponseCode::SESSION_FAILED, text, scratch);
                    Outcome::Invalid
                }
            },
            Operation::ExchangeKey(it) => self.take_key(&it, act, scratch).await,
            Operation::Unspecified(op_code) => {
                let text = format!("{op_code} is not supported here");
                self.error(&act.to, ResponseCode::NOT_SUPPORTED, &text, scratch);
                Outcome::Unsupported
            }
            _ if *act.caller == Caller::Stranger && client.logged_out => {
                let text = "the log-in of this connection failed, or holds no longer";
                self.error(&act.to, ResponseCode::AUTHENTICATION_FAILED, text, scratch);
                Outcome::Denied
            }
            _ if *act.caller == Caller::Stranger => {
                self.challenge(request, message, None, act, client, scratch)
            }
            operation => {
                let flags = request.message.header.flags;
                self.administer(&operation, flags, act, client, scratch)
                    .await
            }
        }
    }

    /// Carries out what may have been challenged, for whoever has asked or has proven to be
    /// somebody since.
    async fn carry_out(
        &self,
        request: &RequestMessage<'_>,
        message: &[u8],
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        match &request.request {
            Request::SiteInfo => self.site_info(&act.to, scratch),
            Request::Resolve(asked) => {
                let resolved = self.resolve_for(act.to, asked, act.caller, scratch).await;
                match resolved {
                    Some(outcome) => outcome,
                    None => self.challenge(request, message, None, act, client, scratch),
                }
            }
            Request::Other { .. } => match request.operation() {
                Ok(operation) => {
                    let flags = request.message.header.flags;
                    self.administer(&operation, flags, act, client, scratch)
                        .await
                }
                Err(fault) => self.unreadable(&act.to, fault, scratch),
            },
        }
    }

    fn unreadable(&self, to: &ReplyTo, fault: RequestFault, scratch: &mut Scratch) -> Outcome {
        self.error(to, fault.code(), &fault.to_string(), scratch);
        Outcome::Invalid
    }

    /// Changes, lists, and what mirrors ask.
    async fn administer(
        &self,
        operation: &Operation<'_>,
        flags: OpFlags,
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        match operation {
            Operation::ListHandles(it) => self.list_handles(act, it.handle, client, scratch).await,
            Operation::ListPrefixes(it) => {
                self.list_prefixes(act, it.handle, client, scratch).await
            }
            Operation::NextTransaction => self.next_transaction(act, scratch),
            Operation::Transactions(it) => self.transactions(act, it, client, scratch).await,
            Operation::Dump(it) => self.dump(act, it, client, scratch).await,
            Operation::BackUp => self.back_up(act, scratch).await,
            operation => self.change(operation, flags, act, scratch).await,
        }
    }

    async fn change(
        &self,
        operation: &Operation<'_>,
        flags: OpFlags,
        act: &Act<'_>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let registry = &self.core.registry;
        let change = match write::change(operation, flags, registry, now_s() as u32) {
            Ok(Some(change)) => change,
            Ok(None) => {
                let text = "the operation changes nothing";
                self.error(&act.to, ResponseCode::NOT_SUPPORTED, text, scratch);
                return Outcome::Unsupported;
            }
            Err(error) => return self.registry_error(&act.to, &error, scratch),
        };
        let mut written = registry.write(act.caller, None, change.command).await;
        if let (Err(Error::Exists { .. }), Some(instead)) = (&written, change.or_else) {
            written = registry.write(act.caller, None, instead).await;
        }
        self.changed(&act.to, written, change.minted, scratch)
    }

    /// What became of a change.
    fn changed(
        &self,
        to: &ReplyTo,
        written: Result<Receipt, Error>,
        minted: Option<String>,
        scratch: &mut Scratch,
    ) -> Outcome {
        match written {
            Ok(_) => {
                let body = minted.map(|handle| encode_created(&handle));
                self.done(to, &body.unwrap_or_default(), scratch)
            }
            Err(error) => self.registry_error(to, &error, scratch),
        }
    }

    fn done(&self, to: &ReplyTo, body: &[u8], scratch: &mut Scratch) -> Outcome {
        let reply = self.reply(to, expiration_s(0, now_s()));
        match reply.raw(&mut scratch.reply, ResponseCode::SUCCESS, body) {
            Ok(()) => Outcome::Done,
            Err(error) => self.failed(to, &error.to_string(), scratch),
        }
    }

    /// An error of the registry's, in this protocol's terms.
    pub(super) fn registry_error(
        &self,
        to: &ReplyTo,
        error: &Error,
        scratch: &mut Scratch,
    ) -> Outcome {
        if let Error::Storage(_) = error {
            return self.failed(to, &error.to_string(), scratch);
        }
        let code = code_of(error);
        self.error(to, code, &error.to_string(), scratch);
        match code.0 {
            400..=499 => Outcome::Denied,
            3 => Outcome::Busy,
            _ => Outcome::Refused,
        }
    }
}

/// Whether its answer is to be encrypted. Not where a session is only about to begin.
fn wants_secrecy(request: &RequestMessage<'_>) -> bool {
    let header = &request.message.header;
    header.flags.contains(OpFlags::ENCRYPT) && !header.op_code.begins_session()
}

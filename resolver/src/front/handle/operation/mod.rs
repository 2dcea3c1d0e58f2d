//! Operations beyond resolution and site information: changes, lists, challenges and what answers
//! them, log-ins and sessions (RFC 3652 §3.5 to §3.8).
//!
//! A request comes with who its connection or session has proven to be. Where that is a stranger
//! and the operation needs more, it is challenged; the answer to the challenge carries it out.
//!
//! | module | holds |
//! |---|---|
//! | `client` | what is known of a client, and the challenges it has to answer |
//! | `sessions` | keys that only node and client have |
//! | `write` | operations as the registry's commands |
//! | `list` | handles and prefixes, in as many messages as they take |
//! | `code` | the registry's errors as response codes |

mod client;
mod code;
mod list;
mod sessions;
mod write;

use super::answer::{Answerer, Scratch, now_s};
use super::metrics::Outcome;
use client::{Challenges, Pending};
use code::code_of;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::proof::{ProofKey, verify_answer, verify_response};
use idnode_proto::handle::auth::public::PublicKey;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_proto::handle::auth::{self, ProofError};
use idnode_proto::handle::body::Operation;
use idnode_proto::handle::body::challenge::{
    Challenge, ChallengeAnswer, NONCE_LEN, PasswordLogIn, VerifyRequest, encode_verified,
};
use idnode_proto::handle::body::change::encode_created;
use idnode_proto::handle::body::session::{KeyAgreement, NO_INDEX, SessionAnswer, SessionSetup};
use idnode_proto::handle::{
    Envelope, FrameStatus, OpFlags, ReplyTo, Request, RequestDigest, RequestMessage, ResponseCode,
    Transport, decode_request, tcp_frame,
};
use idnode_registry::administrator::AdministratorKey;
use idnode_registry::{Caller, Error};
use sessions::{Session, Sessions};
use std::sync::Arc;
use std::time::Instant;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

pub(super) use client::Client;

/// Proofs that wait to be checked; one may take 20 ms of a core.
const MAX_WAITING_PROOFS: usize = 256;

/// Where the first octet of a message's options is (RFC 3652 §2.2.2), and the bit of it that says
/// that the message is encrypted.
const FIRST_FLAGS: usize = 28;
const ENCRYPT: u8 = (OpFlags::ENCRYPT.0 >> 24) as u8;

/// What the operations of all clients share.
#[derive(Debug)]
pub(super) struct Operations {
    challenges: Challenges,
    sessions: Sessions,
    /// As many proofs are checked at once as there are cores.
    checking: Semaphore,
    waiting: Semaphore,
}

impl Default for Operations {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            challenges: Challenges::default(),
            sessions: Sessions::default(),
            checking: Semaphore::new(cores),
            waiting: Semaphore::new(MAX_WAITING_PROOFS),
        }
    }
}

/// What a request is carried out for.
struct Act<'a> {
    to: ReplyTo,
    caller: &'a Caller,
    transport: Transport,
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
        let Ok(envelope) = Envelope::decode(message) else {
            return self.plain(message, transport, client, None, scratch).await;
        };
        if !envelope.flags.encrypted() {
            return self.plain(message, transport, client, None, scratch).await;
        }
        let to = ReplyTo::envelope(&envelope);
        let Some(session) = self.operations.sessions.get(envelope.session_id) else {
            let text = "there is no such session, or it has ended";
            self.error(&to, ResponseCode::SESSION_FAILED, text, scratch);
            return Outcome::Invalid;
        };
        let opened = session.key.decrypt_message(message);
        let (Ok(opened), true) = (opened, session.accepts(envelope.request_id)) else {
            let text = "the message is not this session's, or not new";
            self.error(&to, ResponseCode::INVALID_SESSION_KEY, text, scratch);
            return Outcome::Invalid;
        };
        let begin = scratch.reply.len();
        let by = Some(session.as_ref());
        let outcome = self.plain(&opened, transport, client, by, scratch).await;
        if let Some(listing) = &mut client.listing {
            listing.session = Some(session.clone());
        }
        match self.seal_or_fail(&session, begin, scratch) {
            true => outcome,
            false => self.failed(&to, "an answer could not be encrypted", scratch),
        }
    }

    /// Answers a message that is not encrypted, or no longer.
    async fn plain(
        &self,
        message: &[u8],
        transport: Transport,
        client: &mut Client,
        session: Option<&Session>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let request = match decode_request(message, transport) {
            Ok(request) => request,
            Err(refused) => return self.refuse(&refused, scratch),
        };
        let signed = match self.session_of(&request, session.is_some()) {
            Ok(signed) => signed,
            Err(code) => {
                let text = "the message's credential is none of this node's sessions";
                self.error(&request.reply_to, code, text, scratch);
                return Outcome::Invalid;
            }
        };
        let session = session.or(signed.as_deref());
        // What was proven long ago may have been revoked.
        let caller = session
            .map_or(&client.caller, |session| &session.caller)
            .clone();
        if let Err(error) = self.core.registry.require_valid(&caller) {
            if session.is_none() {
                client.caller = Caller::Stranger;
                client.identity = None;
            }
            return self.registry_error(&request.reply_to, &error, scratch);
        }
        let act = Act {
            to: request.reply_to,
            caller: &caller,
            transport,
        };
        let identity = session
            .map_or(&client.identity, |session| &session.identity)
            .clone();
        match request.request {
            Request::Other { .. } => {
                self.other(&request, message, &act, identity, client, scratch)
                    .await
            }
            _ => {
                self.carry_out(&request, message, &act, client, scratch)
                    .await
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
        let credential = auth::credential::Credential::decode(message.credential)
            .map_err(|_| ResponseCode::INVALID_CREDENTIAL)?;
        let session_id = message.envelope.session_id;
        let session = self.operations.sessions.get(session_id);
        let session = session.ok_or(ResponseCode::INVALID_CREDENTIAL)?;
        credential
            .verify_mac(session_id, session.key.bytes(), message.signed)
            .map_err(|_| ResponseCode::INVALID_CREDENTIAL)?;
        match session.accepts(message.envelope.request_id) {
            true => Ok(Some(session)),
            false => Err(ResponseCode::INVALID_CREDENTIAL),
        }
    }

    /// Answers what is neither resolution nor site information.
    async fn other(
        &self,
        request: &RequestMessage<'_>,
        message: &[u8],
        act: &Act<'_>,
        identity: Option<AdminId>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let operation = match request.operation() {
            Ok(operation) => operation,
            Err(fault) => {
                self.error(&act.to, fault.code(), &fault.to_string(), scratch);
                return Outcome::Invalid;
            }
        };
        match operation {
            Operation::LogIn(it) => match AdminId::of(it.handle, it.index) {
                Ok(id) => self.challenge(request, &[], Some(id), client, scratch),
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
            Operation::SetUpSession(it) => self.set_up(&it, act, identity, scratch).await,
            Operation::TerminateSession => {
                // By whoever has its key: nobody ends another's.
                if request.message.envelope.session_id != 0 && !act.caller_is_stranger() {
                    self.operations
                        .sessions
                        .close(request.message.envelope.session_id);
                }
                self.done(&act.to, &[], scratch)
            }
            Operation::ExchangeKey(_) => {
                let text = "session keys are made by the node: modes 1 and 3";
                self.error(&act.to, ResponseCode::SESSION_NOT_SUPPORTED, text, scratch);
                Outcome::Unsupported
            }
            Operation::Unspecified(op_code) => {
                let text = format!("{op_code} is not supported here");
                self.error(&act.to, ResponseCode::NOT_SUPPORTED, &text, scratch);
                Outcome::Unsupported
            }
            _ => self.carry_out(request, message, act, client, scratch).await,
        }
    }

    /// Carries a request out for whoever asks, or challenges a stranger.
    async fn carry_out(
        &self,
        request: &RequestMessage<'_>,
        message: &[u8],
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        match &request.request {
            Request::SiteInfo => return self.site_info(&act.to, scratch),
            Request::Resolve(asked) => {
                let resolved = self.resolve_for(act.to, asked, act.caller, scratch).await;
                return match resolved {
                    Some(outcome) => outcome,
                    None => self.challenge(request, message, None, client, scratch),
                };
            }
            Request::Other { .. } => {}
        }
        if act.caller_is_stranger() {
            return self.challenge(request, message, None, client, scratch);
        }
        let operation = match request.operation() {
            Ok(operation) => operation,
            Err(fault) => {
                self.error(&act.to, fault.code(), &fault.to_string(), scratch);
                return Outcome::Invalid;
            }
        };
        let flags = request.message.header.flags;
        match operation {
            Operation::ListHandles(it) => self.list_handles(act, it.handle, client, scratch).await,
            Operation::ListPrefixes(it) => {
                self.list_prefixes(act, it.handle, client, scratch).await
            }
            operation => self.change(&operation, flags, act, scratch).await,
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
        match written {
            Ok(_) => {
                let body = change.minted.map(|handle| encode_created(&handle));
                self.done(&act.to, &body.unwrap_or_default(), scratch)
            }
            Err(error) => self.registry_error(&act.to, &error, scratch),
        }
    }

    /// Asks a client to prove who it is. `request_bytes`: what is then carried out; empty for a
    /// log-in, `log_in`.
    fn challenge(
        &self,
        request: &RequestMessage<'_>,
        request_bytes: &[u8],
        log_in: Option<AdminId>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let to = &request.reply_to;
        let session_id = match (&log_in, getrandom::u32()) {
            // The log-in's own is repeated: its answer comes on this connection.
            (Some(_), _) => to.session_id,
            (None, Ok(made)) => made.max(1),
            (None, Err(_)) => return self.failed(to, "no randomness", scratch),
        };
        let Ok(nonce) = auth::random::<NONCE_LEN>() else {
            return self.failed(to, "no randomness", scratch);
        };
        let pending = Pending {
            challenge: Challenge {
                digest: RequestDigest::of(request.message.signed, to.version),
                nonce: nonce.to_vec(),
            },
            op_code: to.op_code,
            request: request_bytes.to_vec(),
            log_in,
            session_id,
            since: Instant::now(),
        };
        let to = ReplyTo { session_id, ..*to };
        let reply = self.reply(&to, super::answer::expiration_s(0, now_s()));
        if let Err(error) = reply.challenge(&mut scratch.reply, &pending.challenge) {
            return self.failed(&to, &error.to_string(), scratch);
        }
        if pending.log_in.is_none() {
            self.operations.challenges.keep(pending.clone());
        }
        client.pending = Some(pending);
        Outcome::Challenged
    }

    /// Takes the answer to a challenge, and carries out what was challenged.
    async fn prove(
        &self,
        answer: &ChallengeAnswer<'_>,
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let found = self.operations.challenges.take(client, act.to.session_id);
        let Some(pending) = found else {
            let text = "there is no challenge to answer, or it has expired";
            self.error(&act.to, ResponseCode::AUTHENTICATION_TIMEOUT, text, scratch);
            return Outcome::Denied;
        };
        let to = ReplyTo {
            op_code: pending.op_code,
            ..act.to
        };
        let proven = self.proven(answer, &pending).await;
        let (id, caller) = match proven {
            Ok(proven) => proven,
            Err(refused) => return self.not_proven(&to, refused, scratch),
        };
        if pending.request.is_empty() {
            client.caller = caller;
            client.identity = Some(id);
            return self.done(&to, &[], scratch);
        }
        let original = match decode_request(&pending.request, act.transport) {
            Ok(original) => original,
            Err(refused) => return self.refuse(&refused, scratch),
        };
        let act = Act {
            to,
            caller: &caller,
            transport: act.transport,
        };
        let carried = self.carry_out(&original, &pending.request, &act, client, scratch);
        Box::pin(carried).await
    }

    /// Who has answered a challenge, if the answer proves it.
    async fn proven(
        &self,
        answer: &ChallengeAnswer<'_>,
        pending: &Pending,
    ) -> Result<(AdminId, Caller), Refused> {
        let id = AdminId::of(answer.handle, answer.index).map_err(|_| Refused::Wrong)?;
        if pending.log_in.as_ref().is_some_and(|wanted| *wanted != id) {
            return Err(Refused::Wrong);
        }
        let (challenge, handle) = (pending.challenge.clone(), answer.handle.to_owned());
        let (key_type, response) = (answer.key_type.to_owned(), answer.response.to_vec());
        let caller = self
            .with_key(id.clone(), move |known| {
                let answer = ChallengeAnswer {
                    key_type: &key_type,
                    handle: &handle,
                    index: 0,
                    response: &response,
                };
                verify_answer(&known.key, &challenge, &answer).map(|()| known.caller)
            })
            .await?;
        Ok((id, caller))
    }

    /// Looks an administrator's key up and checks something with it, where it may take time.
    async fn with_key<T: Send + 'static>(
        &self,
        id: AdminId,
        check: impl FnOnce(AdministratorKey) -> Result<T, ProofError> + Send + 'static,
    ) -> Result<T, Refused> {
        let operations = &self.operations;
        let _waits = operations
            .waiting
            .try_acquire()
            .map_err(|_| Refused::Busy)?;
        let _checks = operations
            .checking
            .acquire()
            .await
            .map_err(|_| Refused::Busy)?;
        let registry = self.core.registry.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let known = registry.administrator(&id).map_err(Refused::Registry)?;
            check(known.ok_or(Refused::Wrong)?).map_err(Refused::Proof)
        });
        checked.await.unwrap_or(Err(Refused::Busy))
    }

    fn not_proven(&self, to: &ReplyTo, refused: Refused, scratch: &mut Scratch) -> Outcome {
        let (code, text) = match refused {
            Refused::Registry(error) => return self.registry_error(to, &error, scratch),
            Refused::Busy => (
                ResponseCode::BUSY,
                "too many proofs wait to be checked".to_owned(),
            ),
            Refused::Wrong | Refused::Proof(ProofError::Wrong) => (
                ResponseCode::AUTHENTICATION_FAILED,
                "no such administrator, or another key".to_owned(),
            ),
            Refused::Proof(error) => (ResponseCode::AUTHENTICATION_FAILED, error.to_string()),
        };
        self.error(to, code, &text, scratch);
        match code {
            ResponseCode::BUSY => Outcome::Busy,
            _ => Outcome::Denied,
        }
    }

    async fn log_in_by_password(
        &self,
        log_in: &PasswordLogIn<'_>,
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let name = log_in.name;
        // A name without an index is that of a handle with one key.
        let id = name
            .parse::<AdminId>()
            .or_else(|_| AdminId::of(name, AdminId::ANY_INDEX));
        let Ok(id) = id else {
            return self.not_proven(&act.to, Refused::Wrong, scratch);
        };
        let password = log_in.password.as_bytes().to_vec();
        let checked = self.with_key(id.clone(), move |known| match known.key {
            ProofKey::Secret(secret) if bool::from(secret.ct_eq(&password)) => Ok(known.caller),
            _ => Err(ProofError::Wrong),
        });
        match checked.await {
            Ok(caller) => {
                client.caller = caller;
                client.identity = Some(id);
                self.done(&act.to, &[], scratch)
            }
            Err(refused) => self.not_proven(&act.to, refused, scratch),
        }
    }

    /// Tells another server whether an answer to its challenge proves a secret key kept here.
    async fn verify(
        &self,
        asked: &VerifyRequest<'_>,
        act: &Act<'_>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let Ok(id) = AdminId::of(asked.handle, asked.index) else {
            return self.done(&act.to, &encode_verified(false), scratch);
        };
        let (challenge, handle) = (asked.challenge.clone(), asked.handle.to_owned());
        let response = asked.response.to_vec();
        let checked = self.with_key(id, move |known| {
            Ok(verify_response(&known.key, &challenge, &handle, &response).is_ok())
        });
        match checked.await {
            Ok(proven) => self.done(&act.to, &encode_verified(proven), scratch),
            Err(Refused::Wrong | Refused::Proof(_)) => {
                self.done(&act.to, &encode_verified(false), scratch)
            }
            Err(refused) => self.not_proven(&act.to, refused, scratch),
        }
    }

    /// Opens a session with a key for whoever has the private key that it is encrypted to.
    async fn set_up(
        &self,
        setup: &SessionSetup<'_>,
        act: &Act<'_>,
        identity: Option<AdminId>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let made = match setup.agreement {
            KeyAgreement::ClientKey(key) => PublicKey::decode(key)
                .map_err(ProofError::from)
                .and_then(|key| SessionKey::make_for(&key))
                .map(|(key, sealed)| (key, sealed, Caller::Stranger, None))
                .map_err(Refused::Proof),
            KeyAgreement::HandleKey { handle, index } => {
                let named = match (handle, setup.identity) {
                    ("", "") => None,
                    ("", identity) => Some((identity, setup.identity_index)),
                    named => Some((named.0, index)),
                };
                let id = match named {
                    Some((handle, index)) if index != NO_INDEX => AdminId::of(handle, index).ok(),
                    Some((handle, _)) => AdminId::of(handle, AdminId::ANY_INDEX).ok(),
                    None => identity,
                };
                match id {
                    Some(id) => self.key_for(id).await,
                    None => Err(Refused::Wrong),
                }
            }
            _ => {
                let text = "session keys are made by the node: modes 1 and 3";
                self.error(&act.to, ResponseCode::SESSION_NOT_SUPPORTED, text, scratch);
                return Outcome::Unsupported;
            }
        };
        let (key, sealed, caller, identity) = match made {
            Ok(made) => made,
            Err(Refused::Busy) => return self.not_proven(&act.to, Refused::Busy, scratch),
            Err(_) => {
                let text = "no session key can be encrypted to this client";
                self.error(&act.to, ResponseCode::SESSION_FAILED, text, scratch);
                return Outcome::Denied;
            }
        };
        let session = Session::new(key, caller, identity, setup.timeout_s);
        let Some(session_id) = self.operations.sessions.open(session) else {
            return self.not_proven(&act.to, Refused::Busy, scratch);
        };
        let to = ReplyTo {
            session_id,
            ..act.to
        };
        let answer = SessionAnswer {
            mode: setup.agreement.mode(),
            data: sealed,
        };
        let mut body = Vec::new();
        answer.encode(&mut body);
        self.done(&to, &body, scratch)
    }

    async fn key_for(&self, id: AdminId) -> Result<Agreed, Refused> {
        let of = id.clone();
        self.with_key(id, move |known| {
            let ProofKey::Public(data) = &known.key else {
                return Err(ProofError::OtherKind);
            };
            let (key, sealed) = SessionKey::make_for(&PublicKey::decode(data)?)?;
            Ok((key, sealed, known.caller, Some(of)))
        })
        .await
    }

    fn done(&self, to: &ReplyTo, body: &[u8], scratch: &mut Scratch) -> Outcome {
        let reply = self.reply(to, super::answer::expiration_s(0, now_s()));
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

/// A session's key, its encryption, and whose it is.
type Agreed = (SessionKey, Vec<u8>, Caller, Option<AdminId>);

/// Why nothing was proven.
#[derive(Debug)]
enum Refused {
    Wrong,
    Busy,
    Proof(ProofError),
    Registry(Error),
}

impl Act<'_> {
    fn caller_is_stranger(&self) -> bool {
        *self.caller == Caller::Stranger
    }
}

/// Answers of a session, each encrypted.
fn seal_from(session: &Session, mut replies: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(replies.len() + 64);
    while !replies.is_empty() {
        let FrameStatus::Complete { len } = tcp_frame(replies) else {
            return None;
        };
        let (message, rest) = replies.split_at_checked(len)?;
        let mut message = message.to_vec();
        *message.get_mut(FIRST_FLAGS)? |= ENCRYPT;
        sealed.extend_from_slice(&session.key.encrypt_message(&message).ok()?);
        replies = rest;
    }
    Some(sealed)
}

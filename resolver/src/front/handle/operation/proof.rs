//! Proofs: clients are challenged for them, and what they answer is checked (RFC 3652 §3.5).

use super::super::answer::{Answerer, Scratch, expiration_s, now_s};
use super::super::metrics::Outcome;
use super::client::Pending;
use super::{Act, Client};
use crate::front::proofs::{Says, Unchecked};
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::proof::{ProofKey, verify_answer, verify_response};
use idnode_proto::handle::auth::{self, ProofError};
use idnode_proto::handle::body::challenge::{
    Challenge, ChallengeAnswer, NONCE_LEN, PasswordLogIn, VerifyRequest, encode_verified,
};
use idnode_proto::handle::{
    OpFlags, ReplyTo, RequestDigest, RequestMessage, ResponseCode, decode_request,
};
use idnode_proto::value::types;
use idnode_registry::administrator::AdministratorKey;
use idnode_registry::{Caller, Error};
use std::net::IpAddr;
use std::time::Instant;
use subtle::ConstantTimeEq;

/// Why nothing was proven.
#[derive(Debug)]
pub(super) enum Refused {
    Wrong,
    Busy,
    Guessing,
    Away,
    Proof(ProofError),
    Registry(Error),
}

impl From<Unchecked> for Refused {
    fn from(unchecked: Unchecked) -> Self {
        match unchecked {
            Unchecked::Busy => Self::Busy,
            Unchecked::Guessing => Self::Guessing,
            Unchecked::Away => Self::Away,
            Unchecked::Unknown => Self::Wrong,
            Unchecked::Registry(error) => Self::Registry(error),
        }
    }
}

impl Answerer {
    /// Asks a client to prove who it is. `request_bytes`: what is then carried out; empty for a
    /// log-in, `log_in`.
    pub(super) fn challenge(
        &self,
        request: &RequestMessage<'_>,
        request_bytes: &[u8],
        log_in: Option<AdminId>,
        act: &Act<'_>,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let to = &request.reply_to;
        let session_id = match (&log_in, act.session, getrandom::u32()) {
            // The log-in's own is repeated: its answer comes on this connection.
            (Some(_), _, _) => to.session_id,
            // By it a client finds the key of what it is answered.
            (None, Some(session_id), _) => session_id,
            (None, None, Ok(made)) => made.max(1),
            (None, None, Err(_)) => return self.failed(to, "no randomness", scratch),
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
            certified: request.message.header.flags.contains(OpFlags::CERTIFY),
            sent_to: client.claimed,
            since: Instant::now(),
        };
        let to = ReplyTo { session_id, ..*to };
        let reply = self.reply(&to, expiration_s(0, now_s()));
        if let Err(error) = reply.challenge(&mut scratch.reply, &pending.challenge) {
            return self.failed(&to, &error.to_string(), scratch);
        }
        self.operations.challenges.keep(client, pending);
        Outcome::Challenged
    }

    /// Takes the answer to a challenge, and carries out what was challenged.
    pub(super) async fn prove(
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
        client.certified = pending.certified;
        let to = ReplyTo {
            op_code: pending.op_code,
            ..act.to
        };
        let source = act.source.or_else(|| client.heard(&pending));
        let proven = self.proven(answer, &pending, source).await;
        let (id, caller) = match proven {
            Ok(proven) => proven,
            Err(refused) => {
                if pending.log_in.is_some() {
                    client.log_out();
                }
                return self.not_proven(&to, refused, scratch);
            }
        };
        if pending.request.is_empty() {
            client.log_in(caller, id);
            return self.done(&to, &[], scratch);
        }
        let original = match decode_request(&pending.request, act.transport) {
            Ok(original) => original,
            Err(refused) => return self.refuse(&refused, scratch),
        };
        // How it is to be answered was said when it was asked; the proof need not say it again.
        // Whether it is encrypted is a matter of the message that the proof came with.
        let wanted = original.message.header.flags.without(OpFlags::ENCRYPT);
        let to = ReplyTo {
            flags: to.flags | wanted,
            ..to
        };
        let act = Act {
            to,
            caller: &caller,
            ..*act
        };
        let carried = self.carry_out(&original, &pending.request, &act, client, scratch);
        Box::pin(carried).await
    }

    /// Who has answered a challenge, if the answer proves it.
    async fn proven(
        &self,
        answer: &ChallengeAnswer<'_>,
        pending: &Pending,
        source: Option<IpAddr>,
    ) -> Result<(AdminId, Caller), Refused> {
        let id = AdminId::of(answer.handle, answer.index).map_err(|_| Refused::Wrong)?;
        if pending.log_in.as_ref().is_some_and(|wanted| *wanted != id) {
            return Err(Refused::Wrong);
        }
        if answer.key_type.eq_ignore_ascii_case(types::HS_SECKEY) {
            let proof = VerifyRequest {
                handle: answer.handle,
                index: id.index,
                challenge: pending.challenge.clone(),
                response: answer.response,
            };
            let vouched = self.core.vouched_elsewhere(&id, source, &proof).await?;
            if let Some(caller) = vouched {
                return Ok((id, caller));
            }
        }
        let (challenge, handle) = (pending.challenge.clone(), answer.handle.to_owned());
        let (key_type, response) = (answer.key_type.to_owned(), answer.response.to_vec());
        let caller = self
            .check(id.clone(), source, move |known| {
                let answer = ChallengeAnswer {
                    key_type: &key_type,
                    handle: &handle,
                    index: 0,
                    response: &response,
                };
                let verified = verify_answer(&known.key, &challenge, &answer);
                said(verified.map(|()| known.caller))
            })
            .await?;
        Ok((id, caller))
    }

    /// Checks something with an administrator's key, where it may take time.
    async fn check<T: Send + 'static>(
        &self,
        id: AdminId,
        source: Option<IpAddr>,
        check: impl FnOnce(AdministratorKey) -> (Says, Result<T, ProofError>) + Send + 'static,
    ) -> Result<T, Refused> {
        let checked = self.core.check_key(id, source, check).await?;
        checked.map_err(Refused::Proof)
    }

    pub(super) fn not_proven(
        &self,
        to: &ReplyTo,
        refused: Refused,
        scratch: &mut Scratch,
    ) -> Outcome {
        let (code, text) = match refused {
            Refused::Registry(error) => return self.registry_error(to, &error, scratch),
            Refused::Busy => (
                ResponseCode::BUSY,
                "too many proofs wait to be checked".to_owned(),
            ),
            Refused::Guessing => (
                ResponseCode::BUSY,
                "too many proofs have failed from this network or for this administrator; try \
                 again in a minute"
                    .to_owned(),
            ),
            Refused::Wrong | Refused::Proof(ProofError::Wrong | ProofError::OtherKind) => (
                ResponseCode::AUTHENTICATION_FAILED,
                "no such administrator, or another key".to_owned(),
            ),
            Refused::Away => (
                ResponseCode::UNABLE_TO_AUTHENTICATE,
                "the administrator's handle is served elsewhere, and nobody there answers"
                    .to_owned(),
            ),
            // The client can do nothing about these.
            Refused::Proof(error @ (ProofError::Key(_) | ProofError::Random)) => {
                (ResponseCode::UNABLE_TO_AUTHENTICATE, error.to_string())
            }
            Refused::Proof(error) => (ResponseCode::AUTHENTICATION_FAILED, error.to_string()),
        };
        self.error(to, code, &text, scratch);
        match code {
            ResponseCode::BUSY => Outcome::Busy,
            _ => Outcome::Denied,
        }
    }

    pub(super) async fn log_in_by_password(
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
        let checked = self.check(id.clone(), act.source, move |known| match known.key {
            ProofKey::Secret(secret) if bool::from(secret.ct_eq(&password)) => {
                said(Ok(known.caller))
            }
            _ => said(Err(ProofError::Wrong)),
        });
        match checked.await {
            Ok(caller) => {
                client.log_in(caller, id);
                self.done(&act.to, &[], scratch)
            }
            Err(refused) => {
                client.log_out();
                self.not_proven(&act.to, refused, scratch)
            }
        }
    }

    /// Tells another server whether an answer to its challenge proves a secret key kept here.
    pub(super) async fn verify(
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
        let checked = self.check(id, act.source, move |known| {
            match said(verify_response(&known.key, &challenge, &handle, &response)) {
                // Over a challenge that is not this node's: anybody may have overheard it.
                (Says::Proven, right) => (Says::Nothing, right),
                wrong => wrong,
            }
        });
        match checked.await {
            Ok(()) => self.done(&act.to, &encode_verified(true), scratch),
            Err(Refused::Wrong | Refused::Proof(_)) => {
                self.done(&act.to, &encode_verified(false), scratch)
            }
            Err(refused) => self.not_proven(&act.to, refused, scratch),
        }
    }
}

/// What the result of a check says of whoever asked for it.
fn said<T>(checked: Result<T, ProofError>) -> (Says, Result<T, ProofError>) {
    let says = match &checked {
        Ok(_) => Says::Proven,
        Err(error) if error.is_wrong() => Says::Wrong,
        Err(_) => Says::Nothing,
    };
    (says, checked)
}

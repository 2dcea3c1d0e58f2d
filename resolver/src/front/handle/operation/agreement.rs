//! Sessions are set up by giving the client a key that only it can read (RFC 3652 §3.8), and what
//! is answered in them is encrypted.

use super::super::answer::{Answerer, Scratch};
use super::super::metrics::Outcome;
use super::Act;
use super::proof::Refused;
use super::sessions::Session;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::ProofError;
use idnode_proto::handle::auth::proof::ProofKey;
use idnode_proto::handle::auth::public::PublicKey;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_proto::handle::body::session::{KeyAgreement, NO_INDEX, SessionAnswer, SessionSetup};
use idnode_proto::handle::{FrameStatus, OpFlags, ReplyTo, ResponseCode, tcp_frame};
use idnode_registry::Caller;

/// Where the first octet of a message's options is (RFC 3652 §2.2.2), and the bit of it that says
/// that the message is encrypted.
const FIRST_FLAGS: usize = 28;
const ENCRYPT: u8 = (OpFlags::ENCRYPT.0 >> 24) as u8;

/// A session's key, its encryption, and whose it is.
type Agreed = (SessionKey, Vec<u8>, Caller, Option<AdminId>);

impl Answerer {
    /// Opens a session with a key for whoever has the private key that it is encrypted to.
    pub(super) async fn set_up(
        &self,
        setup: &SessionSetup<'_>,
        act: &Act<'_>,
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
                    None => act.identity.cloned(),
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

    /// Encrypts the answers from `begin` on; one that cannot be is taken back.
    pub(super) fn seal_or_fail(
        &self,
        session: &Session,
        begin: usize,
        scratch: &mut Scratch,
    ) -> bool {
        let sealed = seal_from(session, scratch.reply.get(begin..).unwrap_or_default());
        scratch.reply.truncate(begin);
        match sealed {
            Some(sealed) => {
                scratch.reply.extend_from_slice(&sealed);
                true
            }
            None => false,
        }
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

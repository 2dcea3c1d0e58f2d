//! Sessions are set up with a key that only node and client can know (RFC 3652 §3.8), and what is
//! answered in them is encrypted.

use super::super::answer::{Answerer, Scratch};
use super::super::certify::{CERTIFY, FIRST_FLAGS};
use super::super::metrics::{Bound, Outcome};
use super::Act;
use super::proof::Refused;
use super::sessions::{Agreed, Session};
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::ProofError;
use idnode_proto::handle::auth::agreement::{DiffieHellman, ExchangeKey, ExchangeKind};
use idnode_proto::handle::auth::credential::attach_mac;
use idnode_proto::handle::auth::proof::ProofKey;
use idnode_proto::handle::auth::public::PublicKey;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_proto::handle::body::session::{
    KeyAgreement, KeyExchange, NO_INDEX, SessionAnswer, SessionSetup,
};
use idnode_proto::handle::{FrameStatus, OpFlags, ReplyTo, ResponseCode, tcp_frame};
use std::sync::Arc;

/// The bit of a message's first octet of options that says that the message is encrypted.
const ENCRYPT: u8 = (OpFlags::ENCRYPT.0 >> 24) as u8;

/// What a session begins with, and what its client is answered about its key.
struct Opened {
    /// `None`: the client sends the key.
    agreed: Option<Agreed>,
    data: Vec<u8>,
}

impl Answerer {
    /// Opens a session: with a key for whoever has the private key that it is encrypted to, one that
    /// both sides have a part in, or one that the client will send. Where nothing of the client's but
    /// the connection says who it is, it is in the session who it is on the connection.
    pub(super) async fn set_up(
        &self,
        setup: &SessionSetup<'_>,
        act: &Act<'_>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let opened = match setup.agreement {
            KeyAgreement::ClientKey(key) => {
                let key = key.to_vec();
                let make = move || {
                    let key = PublicKey::decode(&key)?;
                    SessionKey::make_for(&key)
                };
                self.agreed_by(act, make).await
            }
            KeyAgreement::DiffieHellman(numbers) => {
                let numbers = numbers.map(<[u8]>::to_vec);
                let make = move || {
                    let [a, b, c] = &numbers;
                    let (own, public) = DiffieHellman::with([a, b, c])?;
                    Ok((own.key_with(public)?, own.public()))
                };
                self.agreed_by(act, make).await
            }
            KeyAgreement::ServerKey => self.exchange_key().await.map(|key| Opened {
                agreed: None,
                data: key.public().to_vec(),
            }),
            KeyAgreement::HandleKey { handle, index } => {
                self.for_handle_key(handle, index, setup, act).await
            }
            KeyAgreement::None => {
                let text = "a session needs a key: modes 1 to 4";
                self.error(&act.to, ResponseCode::SESSION_NOT_SUPPORTED, text, scratch);
                return Outcome::Unsupported;
            }
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(refused) => return self.no_key(setup, refused, act, scratch),
        };
        let session = Session::new(opened.agreed, act.source, setup.timeout_s);
        let Some(session_id) = self.operations.sessions.open(session) else {
            self.metrics.bound(Bound::Sessions);
            let text = "there are as many sessions as there may be, of this network or in all";
            self.error(&act.to, ResponseCode::BUSY, text, scratch);
            return Outcome::Busy;
        };
        let to = ReplyTo {
            session_id,
            ..act.to
        };
        let answer = SessionAnswer {
            mode: setup.agreement.mode(),
            data: opened.data,
        };
        let mut body = Vec::new();
        answer.encode(&mut body);
        self.done(&to, &body, scratch)
    }

    /// Says why there is no key for a session.
    fn no_key(
        &self,
        setup: &SessionSetup<'_>,
        refused: Refused,
        act: &Act<'_>,
        scratch: &mut Scratch,
    ) -> Outcome {
        match misfit(&refused, setup.agreement) {
            Some((code, text)) => {
                self.error(&act.to, code, text, scratch);
                Outcome::Denied
            }
            None => self.not_proven(&act.to, refused, scratch),
        }
    }

    /// A key, and what is answered about it, made where it may take its time.
    async fn agreed_by(
        &self,
        act: &Act<'_>,
        make: impl FnOnce() -> Result<(SessionKey, Vec<u8>), ProofError> + Send + 'static,
    ) -> Result<Opened, Refused> {
        let made = self.core.proofs.work(make).await?;
        let (key, data) = made.map_err(Refused::Proof)?;
        let agreed = Some(agreed(key, act));
        Ok(Opened { agreed, data })
    }

    /// A key for the holder of the private key to a registered one.
    async fn for_handle_key(
        &self,
        handle: &str,
        index: u32,
        setup: &SessionSetup<'_>,
        act: &Act<'_>,
    ) -> Result<Opened, Refused> {
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
        let id = id.ok_or(Refused::Wrong)?;
        let of = id.clone();
        // Who asks proves nothing by it: only who has the private key can use the session.
        let made = self.core.proofs.with_key(id, move |known| {
            let ProofKey::Public(data) = &known.key else {
                return Err(ProofError::OtherKind);
            };
            let (key, data) = SessionKey::make_for(&PublicKey::decode(data)?)?;
            let agreed = Agreed {
                key,
                caller: known.caller,
                identity: Some(of),
            };
            Ok(Opened {
                agreed: Some(agreed),
                data,
            })
        });
        made.await?.map_err(Refused::Proof)
    }

    /// The node's key for the exchange of keys: made when it is first asked for, and anew by each
    /// process. It is of the kind of the key that signs, which the clients of this node know.
    async fn exchange_key(&self) -> Result<Arc<ExchangeKey>, Refused> {
        let kind = match &self.site_key {
            Some(site_key) if site_key.is_sm2() => ExchangeKind::Sm2,
            _ => ExchangeKind::Rsa,
        };
        let made = self.operations.exchange_key.get_or_try_init(|| async {
            let made = self.core.proofs.work(move || ExchangeKey::make(kind));
            made.await?.map(Arc::new).map_err(Refused::Proof)
        });
        made.await.cloned()
    }

    /// Takes the key that a client has chosen for a session that waits for one.
    pub(super) async fn take_key(
        &self,
        exchange: &KeyExchange<'_>,
        act: &Act<'_>,
        scratch: &mut Scratch,
    ) -> Outcome {
        let session = match self.operations.sessions.get(act.to.session_id) {
            Ok(session) => session,
            Err(none) => {
                let (code, text) = none.told();
                self.error(&act.to, code, text, scratch);
                return Outcome::Invalid;
            }
        };
        let sealed = exchange.encrypted_key.to_vec();
        let opened = match self.exchange_key().await {
            Ok(key) => self.core.proofs.work(move || key.open(&sealed)).await,
            Err(refused) => return self.not_proven(&act.to, refused, scratch),
        };
        let taken = match opened {
            Err(unchecked) => return self.not_proven(&act.to, unchecked.into(), scratch),
            Ok(opened) => opened.is_ok_and(|key| session.agree(agreed(key, act))),
        };
        if !taken {
            let text = "this is no key encrypted to the node's, or the session has one";
            self.error(&act.to, ResponseCode::INVALID_SESSION_KEY, text, scratch);
            return Outcome::Denied;
        }
        self.done(&act.to, &[], scratch)
    }

    /// Says of the answers from `begin` on that they are encrypted, which is a part of what is
    /// signed.
    pub(super) fn mark_sealed(&self, begin: usize, scratch: &mut Scratch) {
        let mut replies = scratch.reply.get_mut(begin..).unwrap_or_default();
        while let FrameStatus::Complete { len } = tcp_frame(replies) {
            if let Some(flags) = replies.get_mut(FIRST_FLAGS) {
                *flags |= ENCRYPT;
            }
            let Some((_, rest)) = replies.split_at_mut_checked(len) else {
                return;
            };
            replies = rest;
        }
    }

    /// Puts the session's MAC behind the answer that begins at `begin`, for a client that wants it
    /// signed (RFC 3652 §2.2.2.3).
    pub(super) fn mac_or_fail(
        &self,
        session: &Session,
        to: &ReplyTo,
        begin: usize,
        outcome: Outcome,
        scratch: &mut Scratch,
    ) -> Outcome {
        let mut answer = scratch.reply.split_off(begin.min(scratch.reply.len()));
        if answer.is_empty() {
            return outcome;
        }
        if let Some(flags) = answer.get_mut(FIRST_FLAGS) {
            *flags |= CERTIFY;
        }
        let attached = session
            .agreed()
            .ok()
            .map(|agreed| attach_mac(&mut answer, to.session_id, agreed.key.bytes()));
        match attached {
            Some(Ok(())) => {
                scratch.reply.extend_from_slice(&answer);
                outcome
            }
            _ => self.failed(to, "an answer could not be signed", scratch),
        }
    }

    /// Encrypts the answers from `begin` on; one that cannot be is taken back.
    pub(super) fn seal_or_fail(
        &self,
        session: &Session,
        begin: usize,
        scratch: &mut Scratch,
    ) -> bool {
        let replies = scratch.reply.get(begin..).unwrap_or_default();
        let agreed = session.agreed().ok();
        let sealed = agreed.and_then(|agreed| seal_from(&agreed.key, replies));
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

/// What to tell a client with which there can be no key; `None`: it is the node that has none for
/// now.
fn misfit(refused: &Refused, agreement: KeyAgreement<'_>) -> Option<(ResponseCode, &'static str)> {
    match (refused, agreement) {
        (Refused::Busy | Refused::Guessing | Refused::Away | Refused::Registry(_), _)
        | (Refused::Proof(ProofError::Random), _) => None,
        (Refused::Wrong | Refused::Proof(_), KeyAgreement::DiffieHellman(_)) => Some((
            ResponseCode::INVALID_SESSION_KEY,
            "no key follows from these numbers: an odd prime of 1,024 to 4,096 bits, and two \
             between 1 and the prime less 1",
        )),
        (Refused::Wrong | Refused::Proof(_), _) => Some((
            ResponseCode::SESSION_FAILED,
            "no session key can be encrypted to this client",
        )),
    }
}

/// A key of whoever asks.
fn agreed(key: SessionKey, act: &Act<'_>) -> Agreed {
    Agreed {
        key,
        caller: act.caller.clone(),
        identity: act.identity.cloned(),
    }
}

/// Answers of a session, each encrypted.
fn seal_from(key: &SessionKey, mut replies: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = Vec::with_capacity(replies.len() + 64);
    while !replies.is_empty() {
        let FrameStatus::Complete { len } = tcp_frame(replies) else {
            return None;
        };
        let (message, rest) = replies.split_at_checked(len)?;
        sealed.extend_from_slice(&key.encrypt_message(message).ok()?);
        replies = rest;
    }
    Some(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use idnode_registry::Error;

    #[test]
    fn what_fails_here_is_not_put_down_to_the_client() {
        let key = KeyAgreement::HandleKey {
            handle: "0.NA/88.118.8",
            index: 300,
        };
        let numbers = KeyAgreement::DiffieHellman([b"7"; 3]);
        for agreement in [key, numbers, KeyAgreement::ServerKey] {
            for here in [
                Refused::Registry(Error::Storage("a disk".to_owned())),
                Refused::Registry(Error::Unavailable("it stops".to_owned())),
                Refused::Proof(ProofError::Random),
                Refused::Busy,
                Refused::Guessing,
            ] {
                assert_eq!(misfit(&here, agreement), None, "{here:?}");
            }
        }
        let told = |agreement| misfit(&Refused::Wrong, agreement).map(|(code, _)| code);
        assert_eq!(told(key), Some(ResponseCode::SESSION_FAILED));
        assert_eq!(told(numbers), Some(ResponseCode::INVALID_SESSION_KEY));
    }
}

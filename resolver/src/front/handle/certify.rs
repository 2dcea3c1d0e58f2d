//! Answers that are signed with the site's key, for clients that want it (CERT, RFC 3652 §2.2.2.3;
//! §2.2.4 for the credential). A signature takes up to some milliseconds of a core and strangers
//! ask for it: one is made at a time, and few wait.

use super::answer::{Answerer, Scratch};
use super::metrics::{Bound, Outcome};
use idnode_proto::handle::auth::credential::{AttachError, attach_signature};
use idnode_proto::handle::auth::{KeyError, PrivateKey};
use idnode_proto::handle::{
    Message, OpFlags, ReplyTo, ResponseCode, Transport, Version, decode_request,
};
use idnode_proto::trust::{Signer, ValueName};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers that wait for their signatures.
const MOST: usize = 64;
/// Where the first octet of a message's options is (RFC 3652 §2.2.2), and the bit of it that says
/// that the message is signed.
pub(super) const FIRST_FLAGS: usize = 28;
pub(super) const CERTIFY: u8 = (OpFlags::CERTIFY.0 >> 24) as u8;

/// The key that answers are signed with; its public part is in the node's site information. It is the
/// configured signer's, or else the node's own.
pub struct SiteKey {
    key: Arc<PrivateKey>,
    name: ValueName,
    places: Arc<Semaphore>,
    one: Arc<Semaphore>,
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteKey").field("name", &self.name).finish()
    }
}

/// Why an answer was not signed.
enum Unsigned {
    /// Too many wait.
    Busy,
    /// It cannot be.
    Failed(AttachError),
}

impl SiteKey {
    /// The key that signs what is registered.
    pub fn of_signer(signer: Signer) -> Self {
        Self::new(signer.key, signer.name)
    }

    /// The node's own key, which no handle has: clients know it from the site information alone.
    pub fn own(key: PrivateKey) -> Self {
        let nobody = ValueName {
            index: 0,
            handle: String::new(),
        };
        Self::new(key, nobody)
    }

    fn new(key: PrivateKey, name: ValueName) -> Self {
        Self {
            key: Arc::new(key),
            name,
            places: Arc::new(Semaphore::new(MOST)),
            one: Arc::new(Semaphore::new(1)),
        }
    }

    /// Its public part, HS_PUBKEY data.
    ///
    /// # Errors
    /// The key has none that can be written.
    pub fn public(&self) -> Result<Vec<u8>, KeyError> {
        self.key.public_key()?.encode()
    }

    /// Whether a signer is known by it, who goes before the MAC of a session.
    fn is_signers(&self) -> bool {
        !self.name.handle.is_empty()
    }

    /// Whether it is SM2's.
    pub(super) fn is_sm2(&self) -> bool {
        matches!(*self.key, PrivateKey::Sm2(_))
    }

    /// A place among the answers that wait for their signatures; `None`: there are too many.
    fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// The same, when there is one: connections wait one answer each.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// An answer with its signature, for a client of this version.
    async fn sign(
        &self,
        mut message: Vec<u8>,
        version: Version,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<u8>, Unsigned> {
        let place = place.ok_or(Unsigned::Busy)?;
        let turn = self.one.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Unsigned::Busy)?;
        let (key, name) = (self.key.clone(), self.name.clone());
        let signed = tokio::task::spawn_blocking(move || {
            let _until_it_is_done = (place, turn);
            // It is a part of what is signed.
            if let Some(flags) = message.get_mut(FIRST_FLAGS) {
                *flags |= CERTIFY;
            }
            let hash = key.hash_for(version < Version::V2_7);
            attach_signature(&mut message, &key, hash, &name.handle, name.index)
                .map(|()| message)
                .map_err(Unsigned::Failed)
        });
        signed.await.unwrap_or(Err(Unsigned::Busy))
    }
}

impl Answerer {
    /// Whether answers to requests with these options are signed.
    pub(super) fn certifies(&self, flags: OpFlags) -> bool {
        self.site_key.is_some() && flags.contains(OpFlags::CERTIFY)
    }

    /// Whether the answer to a message that a session's MAC has signed is signed by the session's, too:
    /// the client knows that key already, and the site's would tell it no more. A configured signer
    /// says more.
    pub(super) fn certifies_by_session(&self, flags: OpFlags) -> bool {
        let signer = self.site_key.as_ref().is_some_and(|it| it.is_signers());
        flags.contains(OpFlags::CERTIFY) && !signer
    }

    /// Whether the answer to a message is to be signed, whatever is wrong with what it asks.
    pub(super) fn wants_certified(&self, message: &[u8]) -> bool {
        Message::decode(message).is_ok_and(|it| self.certifies(it.header.flags))
    }

    /// What the signed answer to a message takes over from it; `None`: it is not to be signed.
    /// `asked_before`: what the message is the last part of was to be answered so.
    pub(super) fn to_certify(
        &self,
        message: &[u8],
        transport: Transport,
        asked_before: bool,
    ) -> Option<ReplyTo> {
        self.site_key.as_ref()?;
        let flags = Message::decode(message).ok()?.header.flags;
        if !asked_before && !self.certifies(flags) {
            return None;
        }
        match decode_request(message, transport) {
            Ok(request) => Some(request.reply_to),
            Err(refused) => refused.fault.answerable().then_some(refused.reply_to),
        }
    }

    /// Signs the answer that begins at `begin`. One that cannot be signed is taken back: the client
    /// would take it for forged.
    pub(super) async fn certify(
        &self,
        to: &ReplyTo,
        begin: usize,
        outcome: Outcome,
        scratch: &mut Scratch,
    ) -> Outcome {
        let answer = scratch.reply.split_off(begin.min(scratch.reply.len()));
        let Some(site_key) = self.site_key.as_ref().filter(|_| !answer.is_empty()) else {
            scratch.reply.extend_from_slice(&answer);
            return outcome;
        };
        // What has been done must not be answered as if it had not.
        let place = match outcome {
            Outcome::Done => site_key.place().await,
            _ => site_key.free_place(),
        };
        match site_key.sign(answer, to.version, place).await {
            Ok(signed) => {
                scratch.reply.extend_from_slice(&signed);
                outcome
            }
            Err(Unsigned::Busy) => {
                self.metrics.bound(Bound::Signatures);
                let text = "too many answers wait for their signatures";
                self.error(to, ResponseCode::BUSY, text, scratch);
                Outcome::Busy
            }
            Err(Unsigned::Failed(AttachError::TooLong(error))) => {
                let text = format!("with its signature {error}");
                self.error(to, ResponseCode::ERROR, &text, scratch);
                Outcome::Failed
            }
            Err(Unsigned::Failed(error)) => self.failed(to, &error.to_string(), scratch),
        }
    }
}

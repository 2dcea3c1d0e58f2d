//! One request of a client from first to last message: sent, challenged, proven, answered, in as
//! many messages as the answer has.

use thiserror::Error;

use super::admin::AdminId;
use super::auth::{ClientKey, ProofError};
use super::client::{RequestHead, Response, ResponseBody, ResponseError};
use super::header::OpFlags;
use super::message::MessageTooLong;

/// What a client does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this message, on the same connection or another, and go on with what comes back.
    Send(Vec<u8>),
    /// A part of the answer; another message follows without anything being sent.
    Part(Response),
    /// The answer, or its last part.
    Done(Response),
}

/// Why an exchange ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// What came is no answer.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// It answers another request.
    #[error("an answer to request {0}, which was not sent here")]
    OtherRequest(u32),
    /// The challenge or answer has the digest of another request: somebody between client and
    /// server changed it.
    #[error("the server answers a request that was not sent")]
    Forged,
    /// A second challenge, to which the same proof would be the answer.
    #[error("the server asks for a proof again")]
    ChallengedAgain,
    /// A challenge, and no key to answer with.
    #[error("the server asks for a proof, and there is no key")]
    NoKey,
    /// The key makes no proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof does not fit a message.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
}

/// One request on its way.
#[derive(Debug)]
pub struct Exchange<'k> {
    head: RequestHead,
    request: Vec<u8>,
    identity: Option<(&'k AdminId, &'k ClientKey)>,
    challenged: bool,
}

impl<'k> Exchange<'k> {
    /// Starts with a request that `head` has written, to be sent by the caller; `identity` proves
    /// it when the server asks.
    pub fn new(
        head: RequestHead,
        request: Vec<u8>,
        identity: Option<(&'k AdminId, &'k ClientKey)>,
    ) -> Self {
        Self {
            head,
            request,
            identity,
            challenged: false,
        }
    }

    /// The request, for sending.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes one whole message from the server. Errors: [`ExchangeError`], after which the exchange
    /// is over.
    pub fn receive(&mut self, message: &[u8]) -> Result<Step, ExchangeError> {
        let response = Response::decode(message)?;
        let request_id = response.envelope.request_id;
        if request_id != self.head.request_id {
            return Err(ExchangeError::OtherRequest(request_id));
        }
        // Of the answer to a proof, the digest is over the proof, or over the first request.
        if !self.challenged && response.answers(&self.request) == Some(false) {
            return Err(ExchangeError::Forged);
        }
        if let ResponseBody::Challenge(challenge) = &response.body {
            if self.challenged {
                return Err(ExchangeError::ChallengedAgain);
            }
            // The proof covers this digest: of one that cannot be compared, as MD5, a server
            // could have made a part of somebody else's challenge.
            if response.answers(&self.request) != Some(true) {
                return Err(ExchangeError::Forged);
            }
            self.challenged = true;
            let (identity, key) = self.identity.ok_or(ExchangeError::NoKey)?;
            let head = RequestHead {
                session_id: response.envelope.session_id,
                ..self.head
            };
            let answer = head.answer_challenge(key, identity, challenge)??;
            return Ok(Step::Send(answer));
        }
        if response.header.flags.contains(OpFlags::CONTINUES) {
            return Ok(Step::Part(response));
        }
        Ok(Step::Done(response))
    }
}

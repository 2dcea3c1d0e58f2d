//! Reading requests, and what to answer to those that cannot be read.

use thiserror::Error;

use super::body::Operation;
use super::code::{OpCode, ResponseCode};
use super::digest::RequestDigest;
use super::envelope::{ENVELOPE_LEN, Envelope, Version};
use super::header::{Header, OpFlags, SITE_SERIAL_UNKNOWN};
use super::message::Message;
use super::wire::{Reader, WireError};
use crate::value::{MAX_HANDLE_LEN, MAX_TYPE_LEN, MAX_VALUES};

/// What a message came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams, put together.
    Udp,
    /// A connection.
    Tcp,
}

/// What an answer takes over from its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The version to answer in.
    pub version: Version,
    /// The version to suggest, [`Version::NONE`] to peers that suggest none themselves.
    pub suggested: Version,
    /// The request's session, repeated. The server sets its own when it opens one.
    pub session_id: u32,
    /// The request's number, repeated.
    pub request_id: u32,
    /// The request's operation, repeated. Of the answer to a challenge it is that of a log-in, for
    /// a server to replace by what was challenged: one client waits for ever when an answer has
    /// [`OpCode::CHALLENGE_ANSWER`].
    pub op_code: OpCode,
    /// The request's options; [`super::Reply`] says which are repeated.
    pub flags: OpFlags,
    /// The request's recursion count, repeated.
    pub recursion_count: u8,
    /// The serial of the site record by which the client has come here.
    pub site_serial: u16,
    /// The digest the request asked for.
    pub digest: Option<RequestDigest>,
}

impl ReplyTo {
    /// What can be taken over from an envelope alone.
    pub fn envelope(envelope: &Envelope) -> Self {
        let suggested = match envelope.suggestion() {
            Some(_) => Version::LATEST,
            None => Version::NONE,
        };
        Self {
            version: envelope.answer_version(),
            suggested,
            session_id: envelope.session_id,
            request_id: envelope.request_id,
            op_code: OpCode::RESERVED,
            flags: OpFlags::NONE,
            recursion_count: 0,
            site_serial: SITE_SERIAL_UNKNOWN,
            digest: None,
        }
    }

    fn with_header(self, header: &Header) -> Self {
        let op_code = match header.op_code {
            OpCode::CHALLENGE_ANSWER => OpCode::LOGIN,
            op_code => op_code,
        };
        Self {
            op_code,
            flags: header.flags,
            recursion_count: header.recursion_count,
            site_serial: header.site_serial,
            ..self
        }
    }
}

/// A request and what its answer needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMessage<'a> {
    /// The message as it came; its `signed` part is what a challenge's digest covers.
    pub message: Message<'a>,
    /// What the answer takes over.
    pub reply_to: ReplyTo,
    /// What is asked.
    pub request: Request<'a>,
}

impl<'a> RequestMessage<'a> {
    /// What an operation beyond resolution and site information asks, with its body read. A
    /// server reads it only of operations it serves.
    ///
    /// Errors: the fault to answer with; [`RequestFault::InvalidHandle`] and
    /// [`RequestFault::HandleTooLong`] for the handle that is to be changed.
    pub fn operation(&self) -> Result<Operation<'a>, RequestFault> {
        let body = self.message.body;
        Operation::decode(self.message.header.op_code, body)
            .map_err(|error| body_fault(error, body))
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// The values of a handle.
    Resolve(ResolveRequest<'a>),
    /// This server's site record.
    SiteInfo,
    /// Any other operation, its body unread: [`RequestMessage::operation`] reads it.
    Other {
        /// The operation.
        op_code: OpCode,
    },
}

/// A query for values (RFC 3652 §3.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveRequest<'a> {
    /// The handle, as the client spells it.
    pub handle: &'a str,
    /// The indexes asked for, at most [`MAX_VALUES`].
    pub indexes: Vec<u32>,
    /// The types asked for, at most [`MAX_VALUES`]; one that ends in a full stop asks for every
    /// type below it.
    pub types: Vec<&'a str>,
    /// What follows the types: id-pointer-sdk puts a length-prefixed authentication text here.
    pub trailing: &'a [u8],
}

impl<'a> ResolveRequest<'a> {
    /// Reads the body of a query. Errors: [`WireError`] with offsets in the body.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let handle = reader.str("handle", MAX_HANDLE_LEN)?;
        let count = reader.count("index filter", MAX_VALUES, 4)?;
        let mut indexes = Vec::with_capacity(count);
        for _ in 0..count {
            indexes.push(reader.u32("index filter")?);
        }
        let count = reader.count("type filter", MAX_VALUES, 4)?;
        let mut types = Vec::with_capacity(count);
        for _ in 0..count {
            types.push(reader.str("type filter", MAX_TYPE_LEN)?);
        }
        Ok(Self {
            handle,
            indexes,
            types,
            trailing: reader.rest(),
        })
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestFault {
    /// Shorter than an envelope.
    #[error("{length} bytes are no message")]
    NoEnvelope {
        /// Its length, bytes.
        length: usize,
    },
    /// Another protocol, or a version of it that does not exist.
    #[error("protocol version {version} is not spoken here")]
    ForeignVersion {
        /// What the envelope says.
        version: Version,
    },
    /// The compressed bit: no client in the field sets it.
    #[error("compressed messages are not accepted")]
    Compressed,
    /// An encrypted message, which only a session's key opens, or the wish for an encrypted
    /// answer without a session. Whoever holds the session decrypts before asking here.
    #[error("encrypted without an established session")]
    Encrypted,
    /// A piece of a message on a connection, where messages come whole.
    #[error("a truncated message on a connection")]
    Truncated,
    /// Shorter than a header.
    #[error("a message of {length} bytes has no header")]
    NoHeader {
        /// Its length without envelope, bytes.
        length: usize,
    },
    /// An answer. It must get none, lest two servers talk for ever.
    #[error("an answer, not a request")]
    IsAnswer,
    /// Operation 0.
    #[error("operation 0 is reserved")]
    ReservedOperation,
    /// An operation that nobody has defined.
    #[error("unknown operation {0}")]
    UnknownOperation(OpCode),
    /// An operation that needs a connection.
    #[error("{0} is not accepted over UDP")]
    OverUdp(OpCode),
    /// A handle that is not UTF-8.
    #[error("the handle is not UTF-8")]
    InvalidHandle,
    /// A handle that is there in full and longer than any handle may be. One whose length only
    /// claims as much is [`RequestFault::Malformed`].
    #[error("the handle has {length} bytes, at most {MAX_HANDLE_LEN} are allowed")]
    HandleTooLong {
        /// Its length, bytes.
        length: u32,
    },
    /// Lengths or contents that do not fit.
    #[error("{0}")]
    Malformed(WireError),
}

impl RequestFault {
    /// The code to answer with.
    pub fn code(self) -> ResponseCode {
        match self {
            Self::NoEnvelope { .. }
            | Self::ForeignVersion { .. }
            | Self::Truncated
            | Self::NoHeader { .. }
            | Self::IsAnswer
            | Self::ReservedOperation
            | Self::OverUdp(_) => ResponseCode::PROTOCOL_ERROR,
            Self::Compressed => ResponseCode::NOT_SUPPORTED,
            Self::Encrypted => ResponseCode::SESSION_FAILED,
            Self::UnknownOperation(_) | Self::Malformed(_) => ResponseCode::ERROR,
            Self::InvalidHandle | Self::HandleTooLong { .. } => ResponseCode::INVALID_HANDLE,
        }
    }

    /// Whether an answer is due at all.
    pub fn answerable(self) -> bool {
        self != Self::IsAnswer
    }
}

/// A request that is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct RefusedRequest {
    /// What the answer takes over, as far as the request could be read.
    pub reply_to: ReplyTo,
    /// What is wrong.
    pub fault: RequestFault,
}

/// Reads one whole message, envelope first, as a request.
pub fn decode_request(
    bytes: &[u8],
    transport: Transport,
) -> Result<RequestMessage<'_>, RefusedRequest> {
    let length = bytes.len();
    let Ok(envelope) = Envelope::decode(bytes) else {
        let reply_to = ReplyTo::envelope(&Envelope::EMPTY);
        let fault = RequestFault::NoEnvelope { length };
        return Err(RefusedRequest { reply_to, fault });
    };
    let mut reply_to = ReplyTo::envelope(&envelope);
    let refuse = |reply_to, fault| Err(RefusedRequest { reply_to, fault });
    if let Some(fault) = envelope_fault(&envelope, transport) {
        return refuse(reply_to, fault);
    }
    let announced = ENVELOPE_LEN.saturating_add(envelope.message_len as usize);
    let contents = bytes
        .get(ENVELOPE_LEN..announced.min(length))
        .unwrap_or_default();
    let Ok(header) = Header::decode(contents) else {
        let length = contents.len();
        return refuse(reply_to, RequestFault::NoHeader { length });
    };
    reply_to = reply_to.with_header(&header);
    let message = Message::decode(bytes);
    if let Ok(message) = &message
        && header.flags.contains(OpFlags::REQUEST_DIGEST)
    {
        reply_to.digest = Some(RequestDigest::of(message.signed, reply_to.version));
    }
    if let Some(fault) = header_fault(&header, envelope.session_id, transport) {
        return refuse(reply_to, fault);
    }
    let message = match message {
        Ok(message) => message,
        Err(error) => return refuse(reply_to, RequestFault::Malformed(error)),
    };
    match decode_body(&header, message.body) {
        Ok(request) => Ok(RequestMessage {
            message,
            reply_to,
            request,
        }),
        Err(fault) => refuse(reply_to, fault),
    }
}

fn envelope_fault(envelope: &Envelope, transport: Transport) -> Option<RequestFault> {
    let version = envelope.version;
    if version.major != Version::LATEST.major {
        Some(RequestFault::ForeignVersion { version })
    } else if envelope.flags.encrypted() {
        Some(RequestFault::Encrypted)
    } else if envelope.flags.compressed() {
        Some(RequestFault::Compressed)
    } else if transport == Transport::Tcp && (envelope.flags.truncated() || envelope.sequence != 0)
    {
        Some(RequestFault::Truncated)
    } else {
        None
    }
}

fn header_fault(header: &Header, session_id: u32, transport: Transport) -> Option<RequestFault> {
    let op_code = header.op_code;
    if header.response_code != ResponseCode::NONE {
        Some(RequestFault::IsAnswer)
    } else if op_code == OpCode::RESERVED {
        Some(RequestFault::ReservedOperation)
    } else if op_code.words().is_none() {
        Some(RequestFault::UnknownOperation(op_code))
    } else if transport == Transport::Udp && op_code.needs_connection() {
        Some(RequestFault::OverUdp(op_code))
    } else if header.flags.contains(OpFlags::ENCRYPT)
        && session_id == 0
        && !op_code.begins_session()
    {
        Some(RequestFault::Encrypted)
    } else {
        None
    }
}

fn decode_body<'a>(header: &Header, body: &'a [u8]) -> Result<Request<'a>, RequestFault> {
    match header.op_code {
        OpCode::RESOLVE => match ResolveRequest::decode(body) {
            Ok(query) => Ok(Request::Resolve(query)),
            Err(error) => Err(body_fault(error, body)),
        },
        OpCode::SITE_INFO => Ok(Request::SiteInfo),
        op_code => Ok(Request::Other { op_code }),
    }
}

/// What is wrong with a body, told apart for the handle in front of it.
fn body_fault(error: WireError, body: &[u8]) -> RequestFault {
    match error {
        WireError::NotUtf8 { part: "handle", .. } => RequestFault::InvalidHandle,
        WireError::TooLong {
            part: "handle",
            length,
            ..
        } if body.len().saturating_sub(4) >= length as usize => {
            RequestFault::HandleTooLong { length }
        }
        error => RequestFault::Malformed(error),
    }
}

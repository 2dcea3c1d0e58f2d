//! The client's side: writing requests, reading answers.

use thiserror::Error;

use super::body::challenge::{Challenge, decode_verified};
use super::body::list::decode_handle_list;
use super::body::session::SessionAnswer;
use super::code::{OpCode, ResponseCode};
use super::digest::RequestDigest;
use super::envelope::{Envelope, EnvelopeFlags, Version};
use super::header::{Header, OpFlags, SITE_SERIAL_UNKNOWN};
use super::message::{Message, MessageTooLong, encode_message};
use super::site::Site;
use super::wire::{Reader, WireError, length_field, put_sized};
use crate::value::{MAX_HANDLE_LEN, MAX_VALUES, MIN_VALUE_LEN, Value, Values};

/// The longest text of an error answer that is read, bytes.
pub const MAX_ERROR_TEXT_LEN: usize = 65_536;

/// What every request has, whatever it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The version to write in; 2.3 is what clients in the field send.
    pub version: Version,
    /// The version to be answered in, [`Version::NONE`] for no wish.
    pub suggested: Version,
    /// The options.
    pub flags: OpFlags,
    /// The session, 0 for none.
    pub session_id: u32,
    /// A number no other open request of this client has.
    pub request_id: u32,
    /// The serial of the site record that led here.
    pub site_serial: u16,
    /// How many servers have passed the request on.
    pub recursion_count: u8,
    /// When the request is void, seconds since 1970; 0 for never.
    pub expiration_s: u32,
}

impl RequestHead {
    /// A request of public values only, written in 2.3 and suggesting [`Version::LATEST`].
    pub fn new(request_id: u32) -> Self {
        Self {
            version: Version::new(2, 3),
            suggested: Version::LATEST,
            flags: OpFlags::PUBLIC_ONLY,
            session_id: 0,
            request_id,
            site_serial: SITE_SERIAL_UNKNOWN,
            recursion_count: 0,
            expiration_s: 0,
        }
    }

    /// A query for values, those with one of the indexes or one of the types, all without
    /// either. Errors: [`MessageTooLong`].
    pub fn resolve(
        &self,
        handle: &str,
        indexes: &[u32],
        types: &[&str],
    ) -> Result<Vec<u8>, MessageTooLong> {
        let mut body = Vec::with_capacity(12 + handle.len());
        put_sized(&mut body, handle.as_bytes());
        body.extend_from_slice(&length_field(indexes.len()));
        for index in indexes {
            body.extend_from_slice(&index.to_be_bytes());
        }
        body.extend_from_slice(&length_field(types.len()));
        for value_type in types {
            put_sized(&mut body, value_type.as_bytes());
        }
        self.request(OpCode::RESOLVE, &body)
    }

    /// A request for the server's site record; its body is a query for "/", as the SDKs send it.
    pub fn site_info(&self) -> Result<Vec<u8>, MessageTooLong> {
        self.request(
            OpCode::SITE_INFO,
            &[0, 0, 0, 1, b'/', 0, 0, 0, 0, 0, 0, 0, 0],
        )
    }

    /// Any request. Errors: [`MessageTooLong`].
    pub fn request(&self, op_code: OpCode, body: &[u8]) -> Result<Vec<u8>, MessageTooLong> {
        let envelope = Envelope {
            version: self.version,
            flags: EnvelopeFlags::default(),
            suggested: self.suggested,
            session_id: self.session_id,
            request_id: self.request_id,
            ..Envelope::EMPTY
        };
        let header = Header {
            op_code,
            response_code: ResponseCode::NONE,
            flags: self.flags,
            site_serial: self.site_serial,
            recursion_count: self.recursion_count,
            reserved: 0,
            expiration_s: self.expiration_s,
            body_len: 0,
        };
        let mut out = Vec::with_capacity(48 + body.len());
        encode_message(&mut out, envelope, header, |out| {
            out.extend_from_slice(body)
        })?;
        Ok(out)
    }
}

/// An answer, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// How it was delivered.
    pub envelope: Envelope,
    /// Operation, options, site serial, expiration.
    pub header: Header,
    /// How the request ended.
    pub code: ResponseCode,
    /// The digest of the request, when the answer carries one.
    pub digest: Option<RequestDigest>,
    /// What it says.
    pub body: ResponseBody,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseBody {
    /// Success of a query.
    Values {
        /// The handle, as the server spells it.
        handle: String,
        /// Its values that were asked for.
        values: Vec<Value>,
    },
    /// Success of a request for site information.
    Site(Site),
    /// Another service is responsible.
    Referral {
        /// The handle with that service's sites; may be empty.
        handle: String,
        /// The sites themselves; may be empty.
        sites: Vec<Value>,
    },
    /// A challenge, which a client answers with operation 200.
    Challenge(Challenge),
    /// Success of a list: handles or prefixes. More of them follow in another message when the
    /// header has [`OpFlags::CONTINUES`].
    Handles(Vec<String>),
    /// Success of a verification: whether the answer proves the key.
    Verified(bool),
    /// Success of a session's set-up with an agreement on a key.
    Session(SessionAnswer),
    /// A failure.
    Error {
        /// A text for people; may be empty.
        message: String,
        /// The indexes of the values that caused it; may be empty.
        indexes: Vec<u32>,
    },
    /// Success of another operation: the bytes behind the digest.
    Other(Vec<u8>),
}

/// Why bytes are no answer that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Lengths or contents that do not fit.
    #[error("malformed answer: {0}")]
    Malformed(#[from] WireError),
    /// A compressed or encrypted answer without a session.
    #[error("the answer is compressed or encrypted")]
    Wrapped,
    /// A request.
    #[error("a request, not an answer")]
    IsRequest,
}

impl Response {
    /// Reads one whole message, envelope first. Its request id is for the caller to compare.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResponseError> {
        let envelope = Envelope::decode(bytes)?;
        if envelope.flags.compressed() || envelope.flags.encrypted() {
            return Err(ResponseError::Wrapped);
        }
        let message = Message::decode(bytes)?;
        let header = message.header;
        let code = header.response_code;
        if code == ResponseCode::NONE {
            return Err(ResponseError::IsRequest);
        }
        let mut reader = Reader::new(message.body);
        let digest = if header.flags.contains(OpFlags::REQUEST_DIGEST) {
            Some(RequestDigest::read(&mut reader)?)
        } else {
            None
        };
        let body = ResponseBody::read(&mut reader, header.op_code, code, digest)?;
        Ok(Self {
            envelope,
            header,
            code,
            digest,
            body,
        })
    }

    /// Whether the answer's digest is that of `request` (a whole message, envelope first); `None`
    /// when it carries none, or one that cannot be computed here.
    pub fn answers(&self, request: &[u8]) -> Option<bool> {
        let signed = Message::decode(request).ok()?.signed;
        self.digest?.matches(signed)
    }

    /// The handle of values or of a referral.
    pub fn handle(&self) -> Option<&str> {
        match &self.body {
            ResponseBody::Values { handle, .. } | ResponseBody::Referral { handle, .. } => {
                Some(handle)
            }
            _ => None,
        }
    }

    /// The values of a resolution; empty for anything else.
    pub fn values(&self) -> &[Value] {
        match &self.body {
            ResponseBody::Values { values, .. } => values,
            _ => &[],
        }
    }

    /// The text of an error.
    pub fn message(&self) -> Option<&str> {
        match &self.body {
            ResponseBody::Error { message, .. } => Some(message),
            _ => None,
        }
    }

    /// The referral handle and site values of a referral.
    pub fn referral(&self) -> Option<(&str, &[Value])> {
        match &self.body {
            ResponseBody::Referral { handle, sites } => Some((handle, sites)),
            _ => None,
        }
    }

    /// The site record of a site-information answer.
    pub fn site(&self) -> Option<&Site> {
        match &self.body {
            ResponseBody::Site(site) => Some(site),
            _ => None,
        }
    }
}

impl ResponseBody {
    fn read(
        reader: &mut Reader<'_>,
        op_code: OpCode,
        code: ResponseCode,
        digest: Option<RequestDigest>,
    ) -> Result<Self, WireError> {
        Ok(match code {
            ResponseCode::SUCCESS => Self::read_success(reader, op_code)?,
            ResponseCode::AUTHENTICATION_NEEDED => match digest {
                Some(digest) => Self::Challenge(Challenge::read_nonce(reader, digest)?),
                None => Self::Other(reader.rest().to_vec()),
            },
            ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
                Self::read_referral(reader)?
            }
            _ => Self::read_error(reader)?,
        })
    }

    fn read_success(reader: &mut Reader<'_>, op_code: OpCode) -> Result<Self, WireError> {
        Ok(match op_code {
            OpCode::RESOLVE => Self::Values {
                handle: reader.str("handle", MAX_HANDLE_LEN)?.to_string(),
                values: read_values(reader)?,
            },
            OpCode::SITE_INFO => Self::Site(Site::read(reader)?),
            OpCode::LIST_HANDLES | OpCode::LIST_PREFIXES | OpCode::LIST_PREFIXES_RFC => {
                Self::Handles(decode_handle_list(reader.rest())?)
            }
            OpCode::VERIFY_ANSWER => Self::Verified(decode_verified(reader.rest())?),
            OpCode::SESSION_SETUP if !reader.rest().is_empty() => {
                Self::Session(SessionAnswer::read(reader)?)
            }
            _ => Self::Other(reader.rest().to_vec()),
        })
    }

    fn read_referral(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let handle = reader.str("referral handle", MAX_HANDLE_LEN)?.to_string();
        let sites = if reader.rest().is_empty() {
            Vec::new()
        } else {
            read_values(reader)?
        };
        Ok(Self::Referral { handle, sites })
    }

    fn read_error(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let (mut message, mut indexes) = (String::new(), Vec::new());
        if !reader.rest().is_empty() {
            let text = reader.sized("error text", MAX_ERROR_TEXT_LEN)?;
            message = String::from_utf8_lossy(text).into_owned();
        }
        if reader.rest().len() >= 4 {
            let count = reader.count("error indexes", MAX_VALUES, 4)?;
            indexes.reserve_exact(count);
            for _ in 0..count {
                indexes.push(reader.u32("error indexes")?);
            }
        }
        Ok(Self::Error { message, indexes })
    }
}

fn read_values(reader: &mut Reader<'_>) -> Result<Vec<Value>, WireError> {
    let count = reader.count("values", MAX_VALUES, MIN_VALUE_LEN)?;
    let mut values = Vec::with_capacity(count);
    for value in Values::in_reader(*reader, count as u32) {
        values.push(value?.to_owned());
    }
    Ok(values)
}

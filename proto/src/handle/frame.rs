//! Cutting a TCP stream into messages (RFC 3652 §2.1.2), so that requests sent one behind the
//! other on a connection are answered one by one.

use thiserror::Error;

use super::code::ResponseCode;
use super::envelope::{ENVELOPE_LEN, Envelope};
use super::message::MAX_MESSAGE_LEN;

/// What the bytes received so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameStatus {
    /// At least this many more bytes are needed.
    NeedMore(usize),
    /// The first `len` bytes are one message, envelope included.
    Complete {
        /// The message's length, bytes.
        len: usize,
    },
    /// The stream cannot be cut: answer with [`FrameError::code`] and close.
    Invalid(FrameError),
}

/// Why a stream cannot be cut into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Not this protocol: major version 2 is the only one there is.
    #[error("the stream does not start with protocol version 2 but with {major}")]
    ForeignVersion {
        /// The first octet.
        major: u8,
    },
    /// The envelope names a message above the limit.
    #[error("a message of {length} bytes is announced, the limit is {MAX_MESSAGE_LEN}")]
    TooLong {
        /// The announced length without envelope, bytes.
        length: u32,
    },
}

impl FrameError {
    /// The code to answer with before closing.
    pub fn code(self) -> ResponseCode {
        match self {
            Self::ForeignVersion { .. } => ResponseCode::PROTOCOL_ERROR,
            Self::TooLong { .. } => ResponseCode::ERROR,
        }
    }
}

/// Looks at the start of a connection's unread bytes. Never asks for more than one message of
/// [`MAX_MESSAGE_LEN`] and its envelope, and refuses a foreign stream at its first octet.
pub fn tcp_frame(buf: &[u8]) -> FrameStatus {
    if let Some(&major) = buf.first()
        && major != 2
    {
        return FrameStatus::Invalid(FrameError::ForeignVersion { major });
    }
    let Ok(envelope) = Envelope::decode(buf) else {
        return FrameStatus::NeedMore(ENVELOPE_LEN.saturating_sub(buf.len()));
    };
    let length = envelope.message_len;
    if length as usize > MAX_MESSAGE_LEN {
        return FrameStatus::Invalid(FrameError::TooLong { length });
    }
    let len = ENVELOPE_LEN + length as usize;
    match len.checked_sub(buf.len()) {
        None | Some(0) => FrameStatus::Complete { len },
        Some(missing) => FrameStatus::NeedMore(missing),
    }
}

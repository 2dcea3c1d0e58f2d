//! A whole message: envelope, header, body, credential (RFC 3652 §2.2).

use thiserror::Error;

use super::envelope::{ENVELOPE_LEN, Envelope};
use super::header::{HEADER_LEN, Header};
use super::wire::{Reader, WireError, length_field};

/// The longest message that any implementation accepts, bytes.
pub const MAX_MESSAGE_LEN: usize = 262_144;

/// A message, viewed where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// How it was delivered.
    pub envelope: Envelope,
    /// What it is about.
    pub header: Header,
    /// What the operation says, shaped by operation and response code.
    pub body: &'a [u8],
    /// The sender's signature or MAC; empty for none.
    pub credential: &'a [u8],
    /// Header and body together: what digests and credentials cover.
    pub signed: &'a [u8],
}

impl<'a> Message<'a> {
    /// Splits a message that starts with its envelope. Bytes behind the length that the envelope
    /// names are left alone, and so are bytes behind the credential.
    ///
    /// The credential may be missing together with its length field: a login of the
    /// id-pointer-sdk ends with its body.
    /// Errors: [`WireError`] when a length claims more than there is; compression and encryption
    /// are the caller's to refuse or undo before.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let envelope = Envelope::decode(bytes)?;
        let mut outer = Reader::new(bytes.get(ENVELOPE_LEN..).unwrap_or_default());
        let contents = outer.bytes("message", envelope.message_len as usize)?;
        Self::split(envelope, contents)
    }

    pub(crate) fn split(envelope: Envelope, contents: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(contents);
        let header = Header::read(&mut reader)?;
        let body = reader.bytes("body", header.body_len as usize)?;
        let signed = reader.since(0);
        let credential = if reader.rest().len() < 4 {
            &[]
        } else {
            reader.sized("credential", MAX_MESSAGE_LEN)?
        };
        Ok(Self {
            envelope,
            header,
            body,
            credential,
            signed,
        })
    }
}

/// A message that would be longer than [`MAX_MESSAGE_LEN`], envelope included: clients would not
/// read it. Nothing of it has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the message would be {length} bytes, the limit is {MAX_MESSAGE_LEN}")]
pub struct MessageTooLong {
    /// The length it would have, bytes.
    pub length: usize,
}

/// Appends one message: `body` writes the body, then both lengths are filled in. The
/// `message_len`, `sequence` and `body_len` given are ignored.
pub(crate) fn encode_message(
    out: &mut Vec<u8>,
    envelope: Envelope,
    header: Header,
    body: impl FnOnce(&mut Vec<u8>),
) -> Result<(), MessageTooLong> {
    let start = out.len();
    let header_start = start + ENVELOPE_LEN;
    out.extend_from_slice(
        &Envelope {
            sequence: 0,
            ..envelope
        }
        .encode(),
    );
    header.encode(out);
    body(out);
    let body_len = out.len() - header_start - HEADER_LEN;
    out.extend_from_slice(&[0; 4]);
    let length = out.len() - start;
    if length > MAX_MESSAGE_LEN {
        out.truncate(start);
        return Err(MessageTooLong { length });
    }
    fill_in(out, header_start - 4, length - ENVELOPE_LEN);
    fill_in(out, header_start + HEADER_LEN - 4, body_len);
    Ok(())
}

fn fill_in(out: &mut [u8], at: usize, length: usize) {
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&length_field(length));
    }
}

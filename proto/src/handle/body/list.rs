//! Lists of handles and of prefixes (RFC 3652 §3.7). What does not fit one message goes into
//! several, all but the last with [`crate::handle::OpFlags::CONTINUES`], each counting its own.

use crate::handle::message::MAX_MESSAGE_LEN;
use crate::handle::wire::{Reader, WireError, length_field, put_sized};
use crate::value::MAX_HANDLE_LEN;

/// The longest message with a part of a list, bytes: a client need not hold more than this at a time.
pub const MAX_LIST_MESSAGE_LEN: usize = 65_536;

/// What is kept free of it for all that is around the list: envelope, header, request digest, a head,
/// a credential with the longest signer's name and an RSA signature of 8,192 bits, and encryption.
const AROUND_LEN: usize = 4_096;

/// The longest list of one message, bytes.
pub const MAX_LIST_LEN: usize = MAX_LIST_MESSAGE_LEN - AROUND_LEN;

/// The list of one answer, being filled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HandleList {
    handles: Vec<u8>,
    count: usize,
}

impl HandleList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a handle at the end, unless the list would become longer than [`MAX_LIST_LEN`]:
    /// then it is left as it was, and the answer is `false`.
    pub fn push(&mut self, handle: &str) -> bool {
        if self.handles.len() + 8 + handle.len() > MAX_LIST_LEN {
            return false;
        }
        put_sized(&mut self.handles, handle.as_bytes());
        self.count += 1;
        true
    }

    /// Whether there is no handle in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many handles there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.handles.clear();
        self.count = 0;
    }

    /// Appends the answer's body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&length_field(self.count));
        out.extend_from_slice(&self.handles);
    }
}

/// Reads one answer's list, of any length that a message has.
/// Errors: [`WireError`] with offsets in `body`.
pub fn decode_handle_list(body: &[u8]) -> Result<Vec<String>, WireError> {
    let mut reader = Reader::new(body);
    let count = reader.count("handle list", MAX_MESSAGE_LEN / 4, 4)?;
    let mut handles = Vec::with_capacity(count);
    for _ in 0..count {
        handles.push(reader.str("listed handle", MAX_HANDLE_LEN)?.to_string());
    }
    Ok(handles)
}

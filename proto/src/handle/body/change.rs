//! Bodies of the operations that change handles (RFC 3652 §3.6); their answers have none, but
//! for a creation's.

use super::read_handle;
use crate::handle::wire::{Reader, WireError, length_field, put_sized};
use crate::value::{MAX_VALUES, MIN_VALUE_LEN, Value, ValueRef, Values};

/// A handle and values: create, add, modify (RFC 3652 §3.6.1, §3.6.3, §3.6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuesRequest<'a> {
    /// The handle, as the client spells it. With [`crate::handle::OpFlags::MINT`] a creation's
    /// is what the new suffix is put behind.
    pub handle: &'a str,
    count: u32,
    encoded: &'a [u8],
}

impl<'a> ValuesRequest<'a> {
    /// Reads the body and checks every value. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let handle = read_handle(&mut reader)?;
        let count = reader.count("values", MAX_VALUES, MIN_VALUE_LEN)?;
        let start = reader.offset();
        for _ in 0..count {
            ValueRef::read(&mut reader)?;
        }
        Ok(Self {
            handle,
            count: count as u32,
            encoded: reader.since(start),
        })
    }

    /// How many values there are, at most [`MAX_VALUES`].
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values' encodings, one behind the other, as a record stores them.
    pub fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The values, in the request's order.
    pub fn values(&self) -> impl Iterator<Item = ValueRef<'a>> + use<'a> {
        // All of them were read once, so that none fails.
        Values::new(self.encoded, self.count).map_while(Result::ok)
    }

    /// The body of such a request. What is above a limit makes a body that is refused.
    pub fn encode(handle: &str, values: &[Value]) -> Vec<u8> {
        let length: usize = values.iter().map(Value::encoded_len).sum();
        let mut body = Vec::with_capacity(8 + handle.len() + length);
        put_sized(&mut body, handle.as_bytes());
        body.extend_from_slice(&length_field(values.len()));
        for value in values {
            value.encode(&mut body);
        }
        body
    }
}

/// A handle and indexes: remove values (RFC 3652 §3.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveRequest<'a> {
    /// The handle, as the client spells it.
    pub handle: &'a str,
    /// The indexes of the values to remove, at most [`MAX_VALUES`].
    pub indexes: Vec<u32>,
}

impl<'a> RemoveRequest<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
        let handle = read_handle(&mut reader)?;
        let count = reader.count("indexes", MAX_VALUES, 4)?;
        let mut indexes = Vec::with_capacity(count);
        for _ in 0..count {
            indexes.push(reader.u32("indexes")?);
        }
        Ok(Self { handle, indexes })
    }

    /// The body of such a request.
    pub fn encode(handle: &str, indexes: &[u32]) -> Vec<u8> {
        let mut body = Vec::with_capacity(8 + handle.len() + 4 * indexes.len());
        put_sized(&mut body, handle.as_bytes());
        body.extend_from_slice(&length_field(indexes.len()));
        for index in indexes {
            body.extend_from_slice(&index.to_be_bytes());
        }
        body
    }
}

/// A handle alone: delete (RFC 3652 §3.6.5), lists (§3.7), home and unhome a prefix, where it is
/// the prefix's own handle, `0.NA/88.118.8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandleRequest<'a> {
    /// The handle, as the client spells it.
    pub handle: &'a str,
}

impl<'a> HandleRequest<'a> {
    /// Reads the body. Errors: [`WireError`] with offsets in `body`.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let handle = read_handle(&mut Reader::new(body))?;
        Ok(Self { handle })
    }

    /// The body of such a request.
    pub fn encode(handle: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(4 + handle.len());
        put_sized(&mut body, handle.as_bytes());
        body
    }
}

/// The body of the answer to a creation with [`crate::handle::OpFlags::MINT`]: the handle that
/// was made. RFC 3652 §3.6.4 knows no minting, and the answer to any other creation is empty.
pub fn encode_created(handle: &str) -> Vec<u8> {
    HandleRequest::encode(handle)
}

/// The handle in the answer to a creation, if it has one.
/// Errors: [`WireError`] with offsets in `body`.
pub fn decode_created(body: &[u8]) -> Result<Option<&str>, WireError> {
    if body.is_empty() {
        return Ok(None);
    }
    read_handle(&mut Reader::new(body)).map(Some)
}

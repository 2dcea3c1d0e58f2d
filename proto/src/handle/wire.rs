//! Reading and writing the protocol's primitives, and the one error every codec here reports.
//!
//! Integers are big-endian; `str` is a u32 byte count and that many bytes of UTF-8
//! (RFC 3652 §2.1.1, §2.1.4).

use thiserror::Error;

/// What is wrong with a piece of encoded bytes, and where.
///
/// `part` is the field in the protocol's words ("handle", "value data", "type filter");
/// `offset` counts bytes from the start of the slice that was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("{part} at byte {offset} needs {needed} bytes, {left} are left")]
    Truncated {
        /// The field that is cut short.
        part: &'static str,
        /// Where the field starts.
        offset: usize,
        /// Bytes the field needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A length field names more bytes than the protocol's limit. A negative length of a peer
    /// that counts in signed integers is one of 2,147,483,648 or more, and ends here too.
    #[error("{part} at byte {offset} claims {length} bytes, the limit is {limit}")]
    TooLong {
        /// The field with the length.
        part: &'static str,
        /// Where its length stands.
        offset: usize,
        /// The length it claims, bytes.
        length: u32,
        /// The longest accepted, bytes.
        limit: usize,
    },
    /// A count field names more elements than the limit.
    #[error("{part} at byte {offset} claims {count} elements, the limit is {limit}")]
    TooMany {
        /// The list with the count.
        part: &'static str,
        /// Where its count stands.
        offset: usize,
        /// The elements it claims.
        count: u32,
        /// The most accepted.
        limit: usize,
    },
    /// A text field does not hold UTF-8.
    #[error("{part} at byte {offset} is not UTF-8")]
    NotUtf8 {
        /// The text field.
        part: &'static str,
        /// Where its text starts.
        offset: usize,
    },
    /// A field holds a number that has no meaning.
    #[error("{part} at byte {offset} is {number}, which has no meaning")]
    Unknown {
        /// The field.
        part: &'static str,
        /// Where it stands.
        offset: usize,
        /// What it holds.
        number: u32,
    },
}

impl WireError {
    /// The field the error is about.
    pub fn part(&self) -> &'static str {
        match *self {
            Self::Truncated { part, .. }
            | Self::TooLong { part, .. }
            | Self::TooMany { part, .. }
            | Self::NotUtf8 { part, .. }
            | Self::Unknown { part, .. } => part,
        }
    }
}

/// A position in a slice of encoded bytes. Every read checks its bounds and moves forward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    /// The bytes between an earlier offset and the present one.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.offset).unwrap_or_default()
    }

    pub(crate) fn bytes(
        &mut self,
        part: &'static str,
        length: usize,
    ) -> Result<&'a [u8], WireError> {
        let rest = self.rest();
        let taken = rest.get(..length).ok_or(WireError::Truncated {
            part,
            offset: self.offset,
            needed: length,
            left: rest.len(),
        })?;
        self.offset += length;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        part: &'static str,
    ) -> Result<[u8; N], WireError> {
        let rest = self.rest();
        let taken = rest.first_chunk::<N>().ok_or(WireError::Truncated {
            part,
            offset: self.offset,
            needed: N,
            left: rest.len(),
        })?;
        self.offset += N;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, part: &'static str) -> Result<u8, WireError> {
        self.array(part).map(|[byte]: [u8; 1]| byte)
    }

    pub(crate) fn u16(&mut self, part: &'static str) -> Result<u16, WireError> {
        self.array(part).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, part: &'static str) -> Result<u32, WireError> {
        self.array(part).map(u32::from_be_bytes)
    }

    /// A u32 length and that many bytes, at most `limit`.
    pub(crate) fn sized(
        &mut self,
        part: &'static str,
        limit: usize,
    ) -> Result<&'a [u8], WireError> {
        let offset = self.offset;
        let length = self.u32(part)?;
        if length as usize > limit {
            return Err(WireError::TooLong {
                part,
                offset,
                length,
                limit,
            });
        }
        self.bytes(part, length as usize)
    }

    /// A `str`: a u32 length and that many bytes of UTF-8, at most `limit`.
    pub(crate) fn str(&mut self, part: &'static str, limit: usize) -> Result<&'a str, WireError> {
        let bytes = self.sized(part, limit)?;
        let offset = self.offset - bytes.len();
        std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { part, offset })
    }

    /// A u32 count of elements of at least `smallest` bytes each: refused when above `limit` or
    /// when the bytes left cannot hold that many, so that it may size an allocation.
    pub(crate) fn count(
        &mut self,
        part: &'static str,
        limit: usize,
        smallest: usize,
    ) -> Result<usize, WireError> {
        let offset = self.offset;
        let count = self.u32(part)?;
        if count as usize > limit {
            return Err(WireError::TooMany {
                part,
                offset,
                count,
                limit,
            });
        }
        let needed = (count as usize).saturating_mul(smallest);
        let left = self.rest().len();
        if needed > left {
            return Err(WireError::Truncated {
                part,
                offset,
                needed,
                left,
            });
        }
        Ok(count as usize)
    }
}

/// A length or count as its u32 field. What does not fit is written as the largest number,
/// which every decoder refuses.
pub(crate) fn length_field(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Appends a u32 length and the bytes.
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length_field(bytes.len()));
    out.extend_from_slice(bytes);
}

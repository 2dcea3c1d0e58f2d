//! Encoded values, read where they lie.

use std::fmt;

use super::{
    MAX_DATA_LEN, MAX_HANDLE_LEN, MAX_REFERENCES, MAX_TYPE_LEN, MAX_VALUES, Permissions, Reference,
    Ttl, Value, ValueError,
};
use crate::handle::wire::Reader;

/// One encoded value, viewed where it lies. Every part has been checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ValueRef<'a> {
    raw: &'a [u8],
    index: u32,
    timestamp_s: u32,
    ttl: Ttl,
    permissions: Permissions,
    value_type: &'a str,
    data: &'a [u8],
    references: &'a [u8],
}

impl<'a> ValueRef<'a> {
    /// Views the value at the start of `bytes`; what follows it is left alone.
    /// Errors name the part and its offset in `bytes`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        Self::read(&mut Reader::new(bytes))
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, ValueError> {
        let start = reader.offset();
        let index = reader.u32("value index")?;
        let timestamp_s = reader.u32("timestamp")?;
        let ttl_offset = reader.offset();
        let ttl_type = reader.u8("TTL type")?;
        let ttl_s = reader.u32("TTL")?;
        let ttl = match ttl_type {
            0 => Ttl::RelativeS(ttl_s),
            1 => Ttl::AbsoluteS(ttl_s),
            other => {
                let (part, offset) = ("TTL type", ttl_offset);
                return Err(ValueError::Unknown {
                    part,
                    offset,
                    number: other.into(),
                });
            }
        };
        let permissions = Permissions(reader.u8("permissions")?);
        let value_type = reader.str("value type", MAX_TYPE_LEN)?;
        let data = reader.sized("value data", MAX_DATA_LEN)?;
        let count = reader.count("references", MAX_REFERENCES, 8)?;
        let references_start = reader.offset();
        for _ in 0..count {
            reader.str("reference handle", MAX_HANDLE_LEN)?;
            reader.u32("reference index")?;
        }
        let references = reader.since(references_start);
        let raw = reader.since(start);
        Ok(Self {
            raw,
            index,
            timestamp_s,
            ttl,
            permissions,
            value_type,
            data,
            references,
        })
    }

    /// The value's exact bytes, for copying into an answer.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The part of [`ValueRef::raw`] that a trusted-resolution digest covers: all but index and
    /// timestamp.
    pub fn signed_part(&self) -> &'a [u8] {
        self.raw.get(8..).unwrap_or_default()
    }

    /// Unique among the identifier's values.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What the data is.
    pub fn value_type(&self) -> &'a str {
        self.value_type
    }

    /// The data itself.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How long the value may be kept.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// When it last changed, seconds since 1970.
    pub fn timestamp_s(&self) -> u32 {
        self.timestamp_s
    }

    /// Who may read and write it.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// Values of other handles that vouch for this one, as (handle, index).
    pub fn references(&self) -> impl Iterator<Item = (&'a str, u32)> + use<'a> {
        let mut reader = Reader::new(self.references);
        std::iter::from_fn(move || {
            let handle = reader.str("reference handle", MAX_HANDLE_LEN).ok()?;
            let index = reader.u32("reference index").ok()?;
            Some((handle, index))
        })
    }

    /// The same value, owned.
    #[allow(
        clippy::wrong_self_convention,
        reason = "by value, a call on a reference would find the standard ToOwned instead"
    )]
    pub fn to_owned(&self) -> Value {
        Value {
            index: self.index,
            value_type: self.value_type.to_string(),
            data: self.data.to_vec(),
            ttl: self.ttl,
            timestamp_s: self.timestamp_s,
            permissions: self.permissions,
            references: self
                .references()
                .map(|(handle, index)| Reference {
                    handle: handle.to_string(),
                    index,
                })
                .collect(),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_owned().fmt(f)
    }
}

/// Walks encoded values lying one after another. Stops for good after the first error.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    reader: Reader<'a>,
    /// `None`: until the bytes end.
    left: Option<u32>,
    taken: usize,
    failed: bool,
}

impl<'a> Values<'a> {
    /// Exactly `count` values at the start of `bytes`; a count above [`MAX_VALUES`] is the first
    /// item's error. [`Values::rest`] gives what follows them.
    pub fn new(bytes: &'a [u8], count: u32) -> Self {
        Self {
            reader: Reader::new(bytes),
            left: Some(count),
            taken: 0,
            failed: false,
        }
    }

    /// All values of a record without a count, at most [`MAX_VALUES`].
    pub fn all(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            left: None,
            taken: 0,
            failed: false,
        }
    }

    pub(crate) fn in_reader(reader: Reader<'a>, count: u32) -> Self {
        Self {
            reader,
            left: Some(count),
            taken: 0,
            failed: false,
        }
    }

    /// The bytes not walked yet.
    pub fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    fn over_limit(&self) -> Option<ValueError> {
        let count = match self.left {
            Some(left) => left as usize + self.taken,
            None => self.taken + 1,
        };
        (count > MAX_VALUES).then(|| ValueError::TooMany {
            part: "values",
            offset: self.reader.offset(),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            limit: MAX_VALUES,
        })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<ValueRef<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let done = match self.left {
            Some(left) => left == 0,
            None => self.reader.rest().is_empty(),
        };
        if self.failed || done {
            return None;
        }
        let item = match self.over_limit() {
            Some(error) => Err(error),
            None => ValueRef::read(&mut self.reader),
        };
        self.failed = item.is_err();
        self.taken += 1;
        self.left = self.left.map(|left| left.saturating_sub(1));
        Some(item)
    }
}

//! Handle values: typed, indexed pieces of what an identifier resolves to, and their encoding.
//!
//! The stored record and the wire use the same bytes (RFC 3651 §3.1 in the field order that
//! running servers send), so that answering is copying [`ValueRef::raw`]:
//!
//! | field | bytes |
//! |---|---|
//! | index | u32 |
//! | timestamp | u32, seconds since 1970 |
//! | TTL type, TTL | u8 (0 relative, 1 absolute), u32 seconds |
//! | permissions | u8 |
//! | type | u32 length + UTF-8 |
//! | data | u32 length + bytes |
//! | references | u32 count × (u32 length + UTF-8 handle, u32 index) |
//!
//! Trusted resolution signs everything from the TTL type on, so decoding and encoding again
//! gives the same bytes, unknown permission bits included.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use crate::handle::wire::WireError as ValueError;
mod parts;
pub mod types;
mod view;

pub use parts::ValueParts;
pub use view::{ValueRef, Values};

/// The most values one identifier has.
pub const MAX_VALUES: usize = 2048;
/// The longest value data, bytes.
pub const MAX_DATA_LEN: usize = 1_048_576;
/// The longest value type, bytes: a type may itself be a handle.
pub const MAX_TYPE_LEN: usize = MAX_HANDLE_LEN;
/// The longest handle, bytes.
pub const MAX_HANDLE_LEN: usize = 2048;
/// The most references one value carries.
pub const MAX_REFERENCES: usize = 2048;
/// The shortest encoded value: every variable part empty, bytes.
pub const MIN_VALUE_LEN: usize = 26;

/// Bytes before the type's length: index, timestamp, TTL type, TTL, permissions.
const FIXED_LEN: usize = 14;

/// How long an answer may be kept (RFC 3651 §3.1 `<TTL>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// Seconds from the moment the value was obtained; 0 forbids keeping it.
    RelativeS(u32),
    /// The moment itself, in seconds since 1970.
    AbsoluteS(u32),
}

impl Ttl {
    /// One day, what values get when nobody says otherwise.
    pub const DEFAULT: Self = Self::RelativeS(86_400);

    /// Seconds left at `now_s` (seconds since 1970).
    pub fn remaining_s(self, now_s: u64) -> u32 {
        match self {
            Self::RelativeS(ttl_s) => ttl_s,
            Self::AbsoluteS(end_s) => {
                u32::try_from(u64::from(end_s).saturating_sub(now_s)).unwrap_or(u32::MAX)
            }
        }
    }

    fn fields(self) -> (u8, u32) {
        match self {
            Self::RelativeS(ttl_s) => (0, ttl_s),
            Self::AbsoluteS(end_s) => (1, end_s),
        }
    }
}

/// Who may read and write a value (RFC 3651 §3.1 `<permission>`); written "1110" in the order
/// admin read, admin write, public read, public write.
///
/// The four upper bits of the octet have no meaning here but are kept, since they are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(pub u8);

impl Permissions {
    /// An administrator may read the value.
    pub const ADMIN_READ: u8 = 8;
    /// An administrator may change or remove the value.
    pub const ADMIN_WRITE: u8 = 4;
    /// Anyone may read the value.
    pub const PUBLIC_READ: u8 = 2;
    /// Anyone may change or remove the value.
    pub const PUBLIC_WRITE: u8 = 1;

    /// Whether an administrator may read the value.
    pub fn admin_read(self) -> bool {
        self.0 & Self::ADMIN_READ != 0
    }

    /// Whether an administrator may change or remove the value.
    pub fn admin_write(self) -> bool {
        self.0 & Self::ADMIN_WRITE != 0
    }

    /// Whether anyone may read the value.
    pub fn public_read(self) -> bool {
        self.0 & Self::PUBLIC_READ != 0
    }

    /// Whether anyone may change or remove the value.
    pub fn public_write(self) -> bool {
        self.0 & Self::PUBLIC_WRITE != 0
    }

    /// What a value of this type gets when nobody says otherwise: [`Self::default`], and for a
    /// secret key "1100", administrators alone.
    pub fn default_of(value_type: &str) -> Self {
        if value_type.eq_ignore_ascii_case(types::HS_SECKEY) {
            return Self(Self::ADMIN_READ | Self::ADMIN_WRITE);
        }
        Self::default()
    }
}

impl Default for Permissions {
    /// "1110": administrators read and write, everyone reads.
    fn default() -> Self {
        Self(Self::ADMIN_READ | Self::ADMIN_WRITE | Self::PUBLIC_READ)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04b}", self.0 & 0b1111)
    }
}

/// A permission text that is not four characters of 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("permissions are four characters 0 or 1, as in \"1110\"")]
pub struct PermissionsError;

impl FromStr for Permissions {
    type Err = PermissionsError;

    fn from_str(text: &str) -> Result<Self, PermissionsError> {
        if text.len() != 4 || !text.bytes().all(|c| c == b'0' || c == b'1') {
            return Err(PermissionsError);
        }
        u8::from_str_radix(text, 2)
            .map(Self)
            .map_err(|_| PermissionsError)
    }
}

/// A pointer to one value of another handle (RFC 3651 §3.1 `<reference>`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The handle pointed at.
    pub handle: String,
    /// The index of its value.
    pub index: u32,
}

/// One value of an identifier, owned (RFC 3651 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// Unique among the identifier's values.
    pub index: u32,
    /// What the data is; one of [`types`] or any registered type, at most [`MAX_TYPE_LEN`] bytes.
    pub value_type: String,
    /// The data itself, at most [`MAX_DATA_LEN`] bytes.
    pub data: Vec<u8>,
    /// How long the value may be kept.
    pub ttl: Ttl,
    /// When it last changed, seconds since 1970.
    pub timestamp_s: u32,
    /// Who may read and write it.
    pub permissions: Permissions,
    /// Values of other handles that vouch for this one, at most [`MAX_REFERENCES`].
    pub references: Vec<Reference>,
}

impl Value {
    /// A value with the default TTL and permissions, timestamp 0 and no references.
    pub fn new(index: u32, value_type: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            index,
            value_type: value_type.into(),
            data: data.into(),
            ttl: Ttl::DEFAULT,
            timestamp_s: 0,
            permissions: Permissions::default(),
            references: Vec::new(),
        }
    }

    /// Its parts.
    pub fn parts(&self) -> ValueParts<'_> {
        ValueParts {
            index: self.index,
            value_type: &self.value_type,
            data: &self.data,
            ttl: self.ttl,
            timestamp_s: self.timestamp_s,
            permissions: self.permissions,
            references: Cow::Borrowed(&self.references),
        }
    }

    /// Appends the encoding. What [`Value::check`] refuses encodes to bytes that decoders refuse.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.parts().encode(out);
    }

    /// The length of the encoding, bytes.
    pub fn encoded_len(&self) -> usize {
        self.parts().encoded_len()
    }

    /// Whether every part is within the limits. Errors: [`ValueError::TooLong`] or
    /// [`ValueError::TooMany`], whose offset is where the part would stand in the encoding.
    pub fn check(&self) -> Result<(), ValueError> {
        let too_long = |part, offset, len: usize, limit| {
            let length = u32::try_from(len).unwrap_or(u32::MAX);
            if len > limit {
                Err(ValueError::TooLong {
                    part,
                    offset,
                    length,
                    limit,
                })
            } else {
                Ok(())
            }
        };
        let mut offset = FIXED_LEN;
        too_long("value type", offset, self.value_type.len(), MAX_TYPE_LEN)?;
        offset += 4 + self.value_type.len();
        too_long("value data", offset, self.data.len(), MAX_DATA_LEN)?;
        offset += 4 + self.data.len();
        if self.references.len() > MAX_REFERENCES {
            let count = u32::try_from(self.references.len()).unwrap_or(u32::MAX);
            let (part, limit) = ("references", MAX_REFERENCES);
            return Err(ValueError::TooMany {
                part,
                offset,
                count,
                limit,
            });
        }
        offset += 4;
        for reference in &self.references {
            too_long(
                "reference handle",
                offset,
                reference.handle.len(),
                MAX_HANDLE_LEN,
            )?;
            offset += 8 + reference.handle.len();
        }
        Ok(())
    }

    /// Encodes into `scratch`, which is cleared first, and views the result: for code that works
    /// on views and is given an owned value. Errors as [`Value::check`].
    pub fn view_in<'a>(&self, scratch: &'a mut Vec<u8>) -> Result<ValueRef<'a>, ValueError> {
        scratch.clear();
        scratch.reserve(self.encoded_len());
        self.encode(scratch);
        ValueRef::decode(scratch)
    }
}

/// The encodings of the values, one after another, without a count: the stored record's body.
pub fn encode_values(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.iter().map(Value::encoded_len).sum());
    for value in values {
        value.encode(&mut out);
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;

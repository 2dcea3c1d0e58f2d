//! The data of the value types that the system itself reads: HS_ADMIN, HS_VLIST, HS_SERV,
//! HS_ALIAS (RFC 3651 §3.2). Site records are in [`super::site`].

use super::wire::{Reader, WireError, length_field, put_sized};
use crate::value::{MAX_HANDLE_LEN, MAX_REFERENCES, Reference};

/// What an administrator may do (RFC 3651 §3.2.1). Bits without a meaning are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct AdminPermissions(pub u16);

impl AdminPermissions {
    /// Create handles under the prefix.
    pub const ADD_HANDLE: Self = Self(0x0001);
    /// Delete handles under the prefix.
    pub const DELETE_HANDLE: Self = Self(0x0002);
    /// Create prefixes below the prefix.
    pub const ADD_PREFIX: Self = Self(0x0004);
    /// Delete prefixes below the prefix.
    pub const DELETE_PREFIX: Self = Self(0x0008);
    /// Change values other than HS_ADMIN.
    pub const MODIFY_VALUE: Self = Self(0x0010);
    /// Remove values other than HS_ADMIN.
    pub const REMOVE_VALUE: Self = Self(0x0020);
    /// Add values other than HS_ADMIN.
    pub const ADD_VALUE: Self = Self(0x0040);
    /// Change HS_ADMIN values.
    pub const MODIFY_ADMIN: Self = Self(0x0080);
    /// Remove HS_ADMIN values.
    pub const REMOVE_ADMIN: Self = Self(0x0100);
    /// Add HS_ADMIN values.
    pub const ADD_ADMIN: Self = Self(0x0200);
    /// Read values that administrators may read.
    pub const READ_VALUE: Self = Self(0x0400);
    /// List the handles under the prefix.
    pub const LIST_HANDLES: Self = Self(0x0800);
    /// List the prefixes below the prefix.
    pub const LIST_PREFIXES: Self = Self(0x1000);
    /// Everything with a meaning.
    pub const ALL: Self = Self(0x1FFF);

    /// Whether everything in `permissions` is granted.
    pub const fn contains(self, permissions: Self) -> bool {
        self.0 & permissions.0 == permissions.0
    }
}

/// HS_ADMIN data: an administrator and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Admin {
    /// What it may do.
    pub permissions: AdminPermissions,
    /// The value that holds its key, or a list of such values.
    pub reference: Reference,
}

impl Admin {
    /// HS_ADMIN data.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.reference.handle.len());
        out.extend_from_slice(&self.permissions.0.to_be_bytes());
        put_reference(&mut out, &self.reference);
        out
    }

    /// Reads HS_ADMIN data; bytes behind it are left alone. Errors name the part.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(data);
        Ok(Self {
            permissions: AdminPermissions(reader.u16("administrator permissions")?),
            reference: read_reference(&mut reader)?,
        })
    }
}

/// HS_VLIST data.
pub fn encode_value_list(references: &[Reference]) -> Vec<u8> {
    let mut out = length_field(references.len()).to_vec();
    for reference in references {
        put_reference(&mut out, reference);
    }
    out
}

/// Reads HS_VLIST data, at most [`MAX_REFERENCES`] references; bytes behind it are left alone.
/// Errors name the part.
pub fn decode_value_list(data: &[u8]) -> Result<Vec<Reference>, WireError> {
    let mut reader = Reader::new(data);
    let count = reader.count("value list", MAX_REFERENCES, 8)?;
    let mut references = Vec::with_capacity(count);
    for _ in 0..count {
        references.push(read_reference(&mut reader)?);
    }
    Ok(references)
}

/// The handle that HS_SERV or HS_ALIAS data names: the data is its text. Errors:
/// [`WireError::TooLong`] above [`MAX_HANDLE_LEN`], [`WireError::NotUtf8`].
pub fn decode_handle_data(data: &[u8]) -> Result<&str, WireError> {
    let (part, offset, limit) = ("handle", 0, MAX_HANDLE_LEN);
    if data.len() > limit {
        return Err(WireError::TooLong {
            part,
            offset,
            length: u32::from_be_bytes(length_field(data.len())),
            limit,
        });
    }
    std::str::from_utf8(data).map_err(|_| WireError::NotUtf8 { part, offset })
}

fn put_reference(out: &mut Vec<u8>, reference: &Reference) {
    put_sized(out, reference.handle.as_bytes());
    out.extend_from_slice(&reference.index.to_be_bytes());
}

fn read_reference(reader: &mut Reader<'_>) -> Result<Reference, WireError> {
    Ok(Reference {
        handle: reader.str("reference handle", MAX_HANDLE_LEN)?.to_string(),
        index: reader.u32("reference index")?,
    })
}

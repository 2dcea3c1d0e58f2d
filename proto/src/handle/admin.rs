//! Administrators (RFC 3651 §3.2.1, §3.2.7): who they are, what they may do, and the data of the
//! values that say so, HS_ADMIN and HS_VLIST.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::wire::{Reader, WireError, length_field, put_sized};
use crate::identifier::{Identifier, IdentifierError};
use crate::value::{MAX_HANDLE_LEN, MAX_REFERENCES, Reference};

/// An administrator: the value of a handle that holds its key (HS_SECKEY, HS_PUBKEY) or a list of
/// such values (HS_VLIST). Written `300:0.NA/88.118.8`.
///
/// Equality, order and hash are those of the identifier and the index, whatever the spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdminId {
    /// The handle whose value it is; an identifier of any scheme.
    pub handle: Identifier,
    /// The value's index; 0 stands for every value of the handle.
    pub index: u32,
}

/// Why a text or a reference names no administrator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AdminIdError {
    /// No index in front.
    #[error("an administrator is written as an index and a handle, as in 300:0.NA/88.118.8")]
    NoIndex,
    /// An index that is no number of 32 bits.
    #[error("the index of an administrator is a number from 0 to 4294967295")]
    Index,
    /// What follows is no identifier.
    #[error("the handle of an administrator: {0}")]
    Handle(#[from] IdentifierError),
}

impl AdminId {
    /// Any value of the handle.
    pub const ANY_INDEX: u32 = 0;

    /// The administrator at `index` of `handle`.
    pub fn new(handle: Identifier, index: u32) -> Self {
        Self { handle, index }
    }

    /// The administrator that a reference of HS_ADMIN or HS_VLIST data names, or that answers a
    /// challenge. Errors: [`AdminIdError::Handle`].
    pub fn of(handle: &str, index: u32) -> Result<Self, AdminIdError> {
        let handle = Identifier::parse(handle)?;
        Ok(Self { handle, index })
    }

    /// Whether `other` is this administrator, an index of 0 on either side standing for all.
    pub fn covers(&self, other: &Self) -> bool {
        let any = self.index == Self::ANY_INDEX || other.index == Self::ANY_INDEX;
        (any || self.index == other.index) && self.handle == other.handle
    }

    /// The same as a reference, for HS_ADMIN and HS_VLIST data.
    pub fn reference(&self) -> Reference {
        Reference {
            handle: self.handle.display().into_owned(),
            index: self.index,
        }
    }
}

impl TryFrom<&Reference> for AdminId {
    type Error = AdminIdError;

    fn try_from(reference: &Reference) -> Result<Self, AdminIdError> {
        Self::of(&reference.handle, reference.index)
    }
}

impl fmt::Display for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.index, self.handle)
    }
}

impl FromStr for AdminId {
    type Err = AdminIdError;

    /// Reads `index:handle`. Errors: [`AdminIdError`].
    fn from_str(text: &str) -> Result<Self, AdminIdError> {
        let (index, handle) = text.split_once(':').ok_or(AdminIdError::NoIndex)?;
        if index.is_empty() || !index.bytes().all(|c| c.is_ascii_digit()) {
            return Err(AdminIdError::NoIndex);
        }
        let index = index.parse().map_err(|_| AdminIdError::Index)?;
        Self::of(handle, index)
    }
}

/// What an administrator may do (RFC 3651 §3.2.1). Bits without a meaning are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct AdminRights(pub u16);

impl AdminRights {
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

    /// What the administrator of a handle has by custom: to delete it, to read, add, change and
    /// remove its values and administrators, and nothing below a prefix.
    pub const OF_HANDLE: Self = Self(0x07F2);

    /// Whether everything in `rights` is granted.
    pub const fn contains(self, rights: Self) -> bool {
        self.0 & rights.0 == rights.0
    }
}

impl std::ops::BitOr for AdminRights {
    type Output = Self;

    fn bitor(self, rights: Self) -> Self {
        Self(self.0 | rights.0)
    }
}

/// The same rights by the name that they have in HS_ADMIN data.
pub use self::AdminRights as AdminPermissions;

/// HS_ADMIN data: an administrator and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Admin {
    /// What it may do.
    pub permissions: AdminRights,
    /// The value that holds its key, or a list of such values.
    pub reference: Reference,
}

impl Admin {
    /// `rights` for an administrator.
    pub fn new(id: &AdminId, rights: AdminRights) -> Self {
        Self {
            permissions: rights,
            reference: id.reference(),
        }
    }

    /// Who it is. Errors: [`AdminIdError::Handle`] when the reference names no identifier.
    pub fn id(&self) -> Result<AdminId, AdminIdError> {
        AdminId::try_from(&self.reference)
    }

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
            permissions: AdminRights(reader.u16("administrator permissions")?),
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

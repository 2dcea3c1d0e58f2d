//! A value whose parts lie elsewhere: in a message, in an owned value.

use std::borrow::Cow;

use bytes::BufMut;

use super::{FIXED_LEN, MIN_VALUE_LEN, Permissions, Reference, Ttl, Value};
use crate::handle::wire::length_field;

/// One value (RFC 3651 §3.1), part by part, with the meanings of [`Value`]'s: what is checked and
/// encoded without being copied first. Nothing of it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueParts<'a> {
    /// Unique among the identifier's values.
    pub index: u32,
    /// What the data is.
    pub value_type: &'a str,
    /// The data itself.
    pub data: &'a [u8],
    /// How long the value may be kept.
    pub ttl: Ttl,
    /// When it last changed, seconds since 1970.
    pub timestamp_s: u32,
    /// Who may read and write it.
    pub permissions: Permissions,
    /// Values of other handles that vouch for this one.
    pub references: Cow<'a, [Reference]>,
}

impl ValueParts<'_> {
    /// Appends the encoding. Parts beyond [`Value::check`]'s limits encode to bytes that decoders
    /// refuse.
    pub fn encode(&self, out: &mut impl BufMut) {
        let (ttl_type, ttl_s) = self.ttl.fields();
        let mut fixed = [0; FIXED_LEN];
        let mut rest = fixed.as_mut_slice();
        rest.put_u32(self.index);
        rest.put_u32(self.timestamp_s);
        rest.put_u8(ttl_type);
        rest.put_u32(ttl_s);
        rest.put_u8(self.permissions.0);
        out.put_slice(&fixed);
        put_sized(out, self.value_type.as_bytes());
        put_sized(out, self.data);
        out.put_slice(&length_field(self.references.len()));
        for reference in self.references.iter() {
            put_sized(out, reference.handle.as_bytes());
            out.put_u32(reference.index);
        }
    }

    /// The length of the encoding, bytes.
    pub fn encoded_len(&self) -> usize {
        let references: usize = self.references.iter().map(|r| 8 + r.handle.len()).sum();
        MIN_VALUE_LEN + self.value_type.len() + self.data.len() + references
    }

    /// The same value, owned.
    pub fn into_owned(self) -> Value {
        Value {
            index: self.index,
            value_type: self.value_type.to_owned(),
            data: self.data.to_vec(),
            ttl: self.ttl,
            timestamp_s: self.timestamp_s,
            permissions: self.permissions,
            references: self.references.into_owned(),
        }
    }
}

fn put_sized(out: &mut impl BufMut, bytes: &[u8]) {
    out.put_slice(&length_field(bytes.len()));
    out.put_slice(bytes);
}

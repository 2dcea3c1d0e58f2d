//! Handle values: every part of each, so that the same bytes come out again.

use crate::escrow::EscrowError;
use crate::escrow::fields::{Fields, Tag};
use crate::value::{Permissions, Reference, Ttl, Value, ValueRef, Values as Encoded};
use bytes::Bytes;

/// Values as a record has them: one after another in the encoding of RFC 3651 §3.1, each of which
/// can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    count: u32,
    bytes: Bytes,
}

impl Values {
    /// So many values, whose encodings are these bytes and nothing else.
    ///
    /// # Errors
    /// A value cannot be read, or there are other bytes: what is not understood is not deposited
    /// as if it were not there.
    pub fn new(count: u32, bytes: Bytes) -> Result<Self, EscrowError> {
        let damaged = |what: String| EscrowError::Values(what);
        let mut values = Encoded::new(&bytes, count);
        for value in values.by_ref() {
            value.map_err(|error| damaged(error.to_string()))?;
        }
        match values.rest().len() {
            0 => Ok(Self { count, bytes }),
            more => Err(damaged(format!("{more} bytes follow the last of {count}"))),
        }
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Their encodings.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Appends an element each.
    pub(super) fn write(&self, out: &mut String) {
        // Each was read when this was made.
        for value in Encoded::new(&self.bytes, self.count).flatten() {
            write_value(&value, out);
        }
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, EscrowError> {
        let mut count = 0;
        let mut bytes = Vec::new();
        for node in fields.children("value") {
            let mut fields = Fields::of(node)?;
            let value = read_value(&mut fields)?;
            let checked = value.check();
            checked.map_err(|error| fields.wrong(error))?;
            fields.finish()?;
            value.encode(&mut bytes);
            count += 1;
        }
        Self::new(count, bytes.into())
    }
}

fn write_value(value: &ValueRef<'_>, out: &mut String) {
    let tag = Tag::new(out, "value")
        .number("index", value.index())
        .text("type", value.value_type())
        .number("permissions", value.permissions().0)
        .number("timestampS", value.timestamp_s());
    let tag = match value.ttl() {
        Ttl::RelativeS(ttl_s) => tag.number("ttlS", ttl_s),
        Ttl::AbsoluteS(until_s) => tag.number("untilS", until_s),
    };
    tag.around(|out| {
        Tag::new(out, "data").bytes(value.data());
        for (handle, index) in value.references() {
            Tag::new(out, "reference")
                .text("handle", handle)
                .number("index", index)
                .end();
        }
    });
}

fn read_value(fields: &mut Fields<'_>) -> Result<Value, EscrowError> {
    let ttl = match (
        fields.optional_number("ttlS")?,
        fields.optional_number("untilS")?,
    ) {
        (Some(ttl_s), None) => Ttl::RelativeS(ttl_s),
        (None, Some(until_s)) => Ttl::AbsoluteS(until_s),
        _ => return Err(fields.wrong("it has not one of ttlS and untilS")),
    };
    let mut data = fields.children("data");
    let (Some(node), None) = (data.next(), data.next()) else {
        return Err(fields.wrong("it has not one <data>"));
    };
    let data = Fields::of(node)?;
    let bytes = data.bytes()?;
    data.finish()?;
    let mut references = Vec::new();
    for node in fields.children("reference") {
        let mut reference = Fields::of(node)?;
        references.push(Reference {
            handle: reference.text("handle")?,
            index: reference.number("index")?,
        });
        reference.finish()?;
    }
    Ok(Value {
        index: fields.number("index")?,
        value_type: fields.text("type")?,
        permissions: Permissions(fields.number("permissions")?),
        timestamp_s: fields.number("timestampS")?,
        data: bytes,
        ttl,
        references,
    })
}

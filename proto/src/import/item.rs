//! Items read where they lie.

use std::borrow::Cow;

use crate::api::{self, value::Data, value::Ttl};
use prost::Message;
use simdutf8::basic::from_utf8;

/// An item of a chunk, read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRef<'a> {
    /// See [`api::ImportItem`].
    pub line: u64,
    /// See [`api::ImportItem`].
    pub identifier: &'a str,
    /// See [`api::ImportItem`].
    pub template: &'a str,
}

/// An [`api::Value`] read where it lies. Text and raw data are the same here.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemValue<'a> {
    /// See [`api::Value`].
    pub index: u32,
    /// See [`api::Value`].
    pub kind: &'a str,
    /// See [`api::Value`].
    pub data: &'a [u8],
    /// See [`api::Value`].
    pub ttl: Option<Ttl>,
    /// See [`api::Value`].
    pub permissions: Option<u32>,
    /// See [`api::Value`].
    pub timestamp_s: u32,
    /// See [`api::Value`].
    pub references: Cow<'a, [api::Reference]>,
}

impl<'a> ItemRef<'a> {
    /// Reads an encoded [`api::ImportItem`] and puts its values in place of what is in `values`.
    /// `None` where that is not this simple: the item is malformed, or has a field that is not
    /// known here. [`prost`] then has the last word.
    pub fn read(encoded: &'a [u8], values: &mut Vec<ItemValue<'a>>) -> Option<Self> {
        values.clear();
        let mut item = Self {
            line: 0,
            identifier: "",
            template: "",
        };
        let mut fields = Fields(encoded);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Number(line)) => item.line = line,
                (2, Field::Bytes(text)) => item.identifier = from_utf8(text).ok()?,
                (3, Field::Bytes(value)) => values.push(ItemValue::read(value)?),
                (4, Field::Bytes(text)) => item.template = from_utf8(text).ok()?,
                _ => return None,
            }
        }
        Some(item)
    }
}

impl<'a> ItemValue<'a> {
    fn read(encoded: &'a [u8]) -> Option<Self> {
        let mut value = Self {
            index: 0,
            kind: "",
            data: &[],
            ttl: None,
            permissions: None,
            timestamp_s: 0,
            references: Cow::Borrowed(&[]),
        };
        let mut fields = Fields(encoded);
        while let Some(field) = fields.next()? {
            match field {
                // As prost: what does not fit a u32 loses its upper bits.
                (1, Field::Number(index)) => value.index = index as u32,
                (2, Field::Bytes(text)) => value.kind = from_utf8(text).ok()?,
                (3, Field::Bytes(text)) => value.data = from_utf8(text).ok()?.as_bytes(),
                (4, Field::Bytes(raw)) => value.data = raw,
                (5, Field::Number(seconds)) => value.ttl = Some(Ttl::TtlS(seconds as u32)),
                (6, Field::Number(seconds)) => value.ttl = Some(Ttl::ExpiresAtS(seconds as u32)),
                (7, Field::Number(bits)) => value.permissions = Some(bits as u32),
                (8, Field::Number(seconds)) => value.timestamp_s = seconds as u32,
                (9, Field::Bytes(reference)) => {
                    let reference = api::Reference::decode(reference).ok()?;
                    value.references.to_mut().push(reference);
                }
                _ => return None,
            }
        }
        Some(value)
    }
}

impl<'a> From<&'a api::Value> for ItemValue<'a> {
    fn from(value: &'a api::Value) -> Self {
        Self {
            index: value.index,
            kind: &value.r#type,
            data: match &value.data {
                Some(Data::Text(text)) => text.as_bytes(),
                Some(Data::Raw(raw)) => raw,
                None => &[],
            },
            ttl: value.ttl,
            permissions: value.permissions,
            timestamp_s: value.timestamp_s,
            references: Cow::Borrowed(&value.references),
        }
    }
}

/// What a field holds, of the two kinds that items have.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of an encoded message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field and its tag; `Some(None)` at the end, `None` when it is not understood.
    fn next(&mut self) -> Option<Option<(u32, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        // Every field that is known has a key of one byte.
        let key = self.byte()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        (key < 0x80).then_some(Some((u32::from(key >> 3), field)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        // The tenth byte has room for one bit.
        match self.byte()? {
            last @ 0..=1 => Some(number | u64::from(last) << 63),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = api::Value> {
        let data = prop_oneof![
            ".{0,200}".prop_map(Data::Text),
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Data::Raw),
        ];
        let ttl = prop_oneof![
            any::<u32>().prop_map(Ttl::TtlS),
            any::<u32>().prop_map(Ttl::ExpiresAtS)
        ];
        let reference =
            (".{0,9}", any::<u32>()).prop_map(|(handle, index)| api::Reference { handle, index });
        (
            any::<u32>(),
            ".{0,9}",
            proptest::option::of(data),
            proptest::option::of(ttl),
            any::<Option<u32>>(),
            any::<u32>(),
            proptest::collection::vec(reference, 0..3),
        )
            .prop_map(
                |(index, kind, data, ttl, permissions, timestamp_s, references)| api::Value {
                    index,
                    r#type: kind,
                    permissions,
                    timestamp_s,
                    references,
                    data,
                    ttl,
                },
            )
    }

    fn any_item() -> impl Strategy<Value = api::ImportItem> {
        let values = proptest::collection::vec(any_value(), 0..4);
        (any::<u64>(), ".{0,30}", values, ".{0,9}").prop_map(
            |(line, identifier, values, template)| api::ImportItem {
                line,
                identifier,
                values,
                template,
            },
        )
    }

    /// Whether it was read, and then as prost reads it.
    fn read_as_prost_does(encoded: &[u8]) -> Result<bool, TestCaseError> {
        let mut values = Vec::new();
        let Some(read) = ItemRef::read(encoded, &mut values) else {
            return Ok(false);
        };
        let item = api::ImportItem::decode(encoded).unwrap();
        prop_assert_eq!(read.line, item.line);
        prop_assert_eq!(read.identifier, item.identifier);
        prop_assert_eq!(read.template, item.template);
        let expected: Vec<ItemValue<'_>> = item.values.iter().map(ItemValue::from).collect();
        prop_assert_eq!(values, expected);
        Ok(true)
    }

    proptest! {
        #[test]
        fn items_are_read_as_prost_reads_them(item in any_item()) {
            prop_assert!(read_as_prost_does(&item.encode_to_vec())?);
        }

        /// Fields in any order, repeated, cut off, unknown.
        #[test]
        fn whatever_is_read_prost_reads_the_same(
            items in proptest::collection::vec(any_item(), 1..3),
            spoilt in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut encoded: Vec<u8> = items.iter().rev().flat_map(Message::encode_to_vec).collect();
            prop_assume!(!encoded.is_empty());
            prop_assert!(read_as_prost_does(&encoded)?);
            if let Some((at, byte)) = spoilt {
                let at = at.index(encoded.len());
                if let Some(spoilt) = encoded.get_mut(at) {
                    *spoilt = byte;
                }
            }
            read_as_prost_does(&encoded)?;
            encoded.truncate(cut.index(encoded.len()));
            read_as_prost_does(&encoded)?;
        }

        #[test]
        fn junk_that_is_read_prost_reads_the_same(
            encoded in proptest::collection::vec(prop_oneof![0..0x50_u8, any::<u8>()], 0..40),
        ) {
            read_as_prost_does(&encoded)?;
        }
    }
}

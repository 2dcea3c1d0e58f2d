//! Chunks of a bulk load (批量注册).

mod item;

use std::fmt;
use std::ops::Range;

use crate::api::ImportItem;
use bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_varint, encode_key, encode_varint,
    encoded_len_varint, key_len, skip_field, uint64,
};
use prost::{DecodeError, Message};

pub use item::{ItemRef, ItemValue};

/// Fields of `idnode.v1.ImportChunk`.
const NUMBER: u32 = 1;
const ITEMS: u32 = 2;

/// `idnode.v1.ImportChunk` with its items still encoded, one behind the other: they are decoded
/// where there is time for it, and one that is malformed spoils no other.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ImportChunk {
    /// From 1, ascending by 1.
    pub number: u64,
    /// Encoded [`ImportItem`]s.
    body: Vec<u8>,
    /// Where each item is in the body.
    places: Vec<Range<usize>>,
}

impl ImportChunk {
    /// A chunk of items.
    #[must_use]
    pub fn new(number: u64, items: &[ImportItem]) -> Self {
        let mut chunk = Self {
            number,
            ..Self::default()
        };
        for item in items {
            chunk.push(&item.encode_to_vec());
        }
        chunk
    }

    /// Adds an encoded item.
    pub fn push(&mut self, item: &[u8]) {
        let start = self.body.len();
        self.body.extend_from_slice(item);
        self.places.push(start..self.body.len());
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of all items, encoded.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Its items, encoded.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        let item = |place: &Range<usize>| self.body.get(place.clone()).unwrap_or_default();
        self.places.iter().map(item)
    }

    /// Its items.
    ///
    /// # Errors
    /// That of the first malformed one.
    pub fn decode_items(&self) -> Result<Vec<ImportItem>, DecodeError> {
        self.items().map(ImportItem::decode).collect()
    }
}

impl fmt::Debug for ImportChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportChunk")
            .field("number", &self.number)
            .field("items", &self.decode_items())
            .finish()
    }
}

/// As derived for `number` and `repeated bytes`, but for where the items go.
impl Message for ImportChunk {
    fn encode_raw(&self, out: &mut impl BufMut) {
        if self.number != 0 {
            uint64::encode(NUMBER, &self.number, out);
        }
        for item in self.items() {
            encode_key(ITEMS, WireType::LengthDelimited, out);
            encode_varint(item.len() as u64, out);
            out.put_slice(item);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            NUMBER => uint64::merge(wire_type, &mut self.number, from, context),
            ITEMS => {
                check_wire_type(WireType::LengthDelimited, wire_type)?;
                let length = decode_varint(from)?;
                if length > from.remaining() as u64 {
                    // Only prost makes its errors: this one is of a message cut short.
                    return <() as Message>::decode_length_delimited([1].as_slice());
                }
                if self.body.is_empty() {
                    // The other items follow.
                    self.body.reserve(from.remaining());
                }
                let start = self.body.len();
                self.body.put(from.take(length as usize));
                self.places.push(start..self.body.len());
                Ok(())
            }
            _ => skip_field(wire_type, tag, from, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let number = match self.number {
            0 => 0,
            number => uint64::encoded_len(NUMBER, &number),
        };
        let item = |place: &Range<usize>| {
            let length = place.len();
            key_len(ITEMS) + encoded_len_varint(length as u64) + length
        };
        number + self.places.iter().map(item).sum::<usize>()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::{ImportRequest, Value, import_request};

    #[test]
    fn a_chunk_is_encoded_as_the_interface_says() {
        let item = |line| ImportItem {
            line,
            identifier: format!("88.118.8/{line}"),
            values: vec![Value::default()],
            template: String::new(),
        };
        let chunk = ImportChunk::new(7, &[item(1), item(300)]);
        let request = ImportRequest {
            message: Some(import_request::Message::Chunk(chunk.clone())),
        };
        let sent = request.encode_to_vec();
        // Field 2, 41 bytes: number = 7, items = {line, identifier "88.118.8/...", values {}}.
        let mut expected = vec![0x12, 41, 0x08, 7, 0x12, 16, 0x08, 1, 0x12, 10];
        expected.extend(b"88.118.8/1");
        expected.extend([0x1a, 0, 0x12, 16 + 3, 0x08, 0xac, 2, 0x12, 12]);
        expected.extend(b"88.118.8/300");
        expected.extend([0x1a, 0]);
        assert_eq!(sent, expected);
        assert_eq!(ImportRequest::decode(&sent[..]).unwrap(), request);
        assert_eq!(chunk.decode_items().unwrap(), [item(1), item(300)]);
        let mut cut = ImportChunk::new(1, &[]);
        cut.push(&[0x12, 10]);
        assert!(cut.decode_items().is_err());
    }
}

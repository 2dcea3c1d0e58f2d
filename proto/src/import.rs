//! Chunks of a bulk load (批量注册).

use crate::api::ImportItem;
use bytes::Bytes;
use prost::{DecodeError, Message};

/// `idnode.v1.ImportChunk` with its items still encoded, which is the same on the wire: a chunk
/// is received without copying, its items are decoded where there is time for it, and one that
/// is malformed spoils no other.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImportChunk {
    /// From 1, ascending by 1.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// Encoded [`ImportItem`]s.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub items: Vec<Bytes>,
}

impl ImportChunk {
    /// A chunk of items.
    #[must_use]
    pub fn new(number: u64, items: &[ImportItem]) -> Self {
        Self {
            number,
            items: items
                .iter()
                .map(|item| item.encode_to_vec().into())
                .collect(),
        }
    }

    /// Its items.
    ///
    /// # Errors
    /// That of the first malformed one.
    pub fn decode_items(&self) -> Result<Vec<ImportItem>, DecodeError> {
        self.items
            .iter()
            .map(|item| ImportItem::decode(item.clone()))
            .collect()
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
        let cut = ImportChunk {
            number: 1,
            items: vec![Bytes::from_static(&[0x12, 10])],
        };
        assert!(cut.decode_items().is_err());
    }
}

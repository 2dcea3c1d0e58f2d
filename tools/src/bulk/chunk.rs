//! Items cut into chunks of the `Import` call: the same cuts on every run over the same file,
//! so that an import goes on where it was cut off.

use bytes::{BufMut as _, Bytes};
use idnode_proto::api::{ImportItem, ImportRequest, import_request};
use idnode_proto::import::ImportChunk;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::MAX_ITEM_BYTES;
use super::item::{EncodedItem, put};
use super::read::{Entry, Reject, reason};

/// A stretch of a file: a chunk's items, and the rejects found between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// From 0, ascending by 1.
    pub ordinal: u64,
    /// Missing when there are only rejects.
    pub chunk: Option<Chunk>,
    /// What never leaves for the node, by line.
    pub rejects: Vec<Reject>,
    /// Bytes of the file taken when the unit was complete.
    pub source_bytes: u64,
}

/// A chunk ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Of `ImportChunk`: from 1, ascending by 1.
    pub number: u64,
    /// How many items it has.
    pub items: usize,
    /// An encoded `ImportRequest`.
    pub request: Bytes,
}

impl Chunk {
    /// The items again, to say which were rejected.
    #[must_use]
    pub fn decode(&self) -> Vec<ImportItem> {
        match ImportRequest::decode(self.request.clone()) {
            Ok(ImportRequest {
                message: Some(import_request::Message::Chunk(chunk)),
            }) => chunk.decode_items().unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// Cuts entries into units. A unit is complete when it has so many entries, or when the next
/// item would make its chunk longer than [`MAX_ITEM_BYTES`].
#[derive(Debug)]
pub struct Chunker {
    entries: usize,
    items: usize,
    /// The repeated field `ImportChunk.items`, encoded.
    body: Vec<u8>,
    rejects: Vec<Reject>,
    ordinal: u64,
    number: u64,
}

/// Tags of `idnode.v1.ImportRequest.chunk` and of `ImportChunk.number` and `.items`.
const REQUEST_CHUNK: u32 = 2;
const CHUNK_NUMBER: u32 = 1;
const CHUNK_ITEMS: u32 = 2;

impl Chunker {
    /// `entries`: items and rejects of a unit, at least 1.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self {
            entries: entries.max(1),
            items: 0,
            body: Vec::new(),
            rejects: Vec::new(),
            ordinal: 0,
            number: 1,
        }
    }

    /// Adds an entry; gives the unit that was complete before it, if one was.
    pub fn push(&mut self, entry: Entry) -> Option<Unit> {
        let full = self.items + self.rejects.len() >= self.entries;
        let item = match entry {
            Entry::Item(item) => item,
            Entry::Reject(reject) => {
                let unit = if full { self.cut() } else { None };
                self.rejects.push(reject);
                return unit;
            }
        };
        let before = self.body.len();
        put(CHUNK_ITEMS, item.bytes(), &mut self.body);
        if self.body.len() - before > MAX_ITEM_BYTES {
            self.body.truncate(before);
            return self.push(Entry::Reject(too_large(&item)));
        }
        let unit = if full || self.body.len() > MAX_ITEM_BYTES {
            let next = self.body.split_off(before);
            let unit = self.cut();
            self.body.extend_from_slice(&next);
            unit
        } else {
            None
        };
        self.items += 1;
        unit
    }

    /// The unit that is left over at the end.
    pub fn finish(mut self) -> Option<Unit> {
        self.cut()
    }

    fn cut(&mut self) -> Option<Unit> {
        if self.items == 0 && self.rejects.is_empty() {
            return None;
        }
        let chunk = (self.items > 0).then(|| self.encode());
        self.number += u64::from(chunk.is_some());
        self.items = 0;
        self.body.clear();
        self.ordinal += 1;
        Some(Unit {
            ordinal: self.ordinal - 1,
            chunk,
            rejects: std::mem::take(&mut self.rejects),
            source_bytes: 0,
        })
    }

    fn encode(&self) -> Chunk {
        // A message's fields may come in pieces: the number alone, then the items as they are.
        let number = ImportChunk::new(self.number, &[]);
        let length = number.encoded_len() + self.body.len();
        let mut request = Vec::with_capacity(1 + encoded_len_varint(length as u64) + length);
        encode_key(REQUEST_CHUNK, WireType::LengthDelimited, &mut request);
        encode_varint(length as u64, &mut request);
        encode_key(CHUNK_NUMBER, WireType::Varint, &mut request);
        encode_varint(self.number, &mut request);
        request.put_slice(&self.body);
        Chunk {
            number: self.number,
            items: self.items,
            request: request.into(),
        }
    }
}

fn too_large(item: &EncodedItem) -> Reject {
    let item = item.decode();
    Reject {
        line: item.line,
        identifier: item.identifier,
        reason: reason::TOO_LARGE.to_owned(),
        field: "values".to_owned(),
        message: format!("the item is longer than {MAX_ITEM_BYTES} bytes"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(line: u64, bytes: usize) -> Entry {
        Entry::Item(EncodedItem::from(&ImportItem {
            line,
            identifier: "x".repeat(bytes),
            values: vec![],
            template: String::new(),
        }))
    }

    fn reject(line: u64) -> Entry {
        Entry::Reject(Reject {
            line,
            identifier: String::new(),
            reason: reason::MALFORMED_JSON.into(),
            field: String::new(),
            message: String::new(),
        })
    }

    fn cut(entries: &[Entry], size: usize) -> Vec<Unit> {
        let mut chunker = Chunker::new(size);
        let mut units: Vec<_> = entries
            .iter()
            .filter_map(|entry| chunker.push(entry.clone()))
            .collect();
        units.extend(chunker.finish());
        units
    }

    #[test]
    fn a_chunk_stays_within_a_message() {
        let entries: Vec<_> = (1..=5).map(|line| item(line, 1_500_000)).collect();
        let units = cut(&entries, 1000);
        let sizes: Vec<_> = units
            .iter()
            .map(|u| u.chunk.as_ref().unwrap().items)
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
        for unit in &units {
            assert!(unit.chunk.as_ref().unwrap().request.len() < 4 * 1024 * 1024);
        }
    }

    #[test]
    fn an_item_beyond_a_message_is_a_reject() {
        let units = cut(&[item(1, 10), item(2, MAX_ITEM_BYTES), item(3, 10)], 1000);
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].chunk.as_ref().unwrap().items, 2);
        assert_eq!(units[0].rejects[0].line, 2);
        assert_eq!(units[0].rejects[0].reason, reason::TOO_LARGE);
    }

    #[test]
    fn rejects_alone_make_units_without_a_chunk() {
        let entries: Vec<_> = (1..=5).map(reject).chain([item(6, 1)]).collect();
        let units = cut(&entries, 2);
        let numbers: Vec<_> = units
            .iter()
            .map(|u| u.chunk.as_ref().map(|c| c.number))
            .collect();
        assert_eq!(numbers, [None, None, Some(1)]);
        assert_eq!(
            units.iter().map(|u| u.ordinal).collect::<Vec<_>>(),
            [0, 1, 2]
        );
    }

    proptest! {
        #[test]
        fn every_entry_is_in_one_unit_and_cuts_are_the_same_each_time(
            kinds in prop::collection::vec(any::<bool>(), 0..200),
            size in 1usize..40,
        ) {
            let entries: Vec<_> = (1..)
                .zip(&kinds)
                .map(|(line, good)| if *good { item(line, 3) } else { reject(line) })
                .collect();
            let units = cut(&entries, size);
            prop_assert_eq!(&units, &cut(&entries, size));
            let mut lines = Vec::new();
            for unit in &units {
                let decoded = unit.chunk.as_ref().map(Chunk::decode).unwrap_or_default();
                prop_assert_eq!(decoded.len(), unit.chunk.as_ref().map_or(0, |c| c.items));
                prop_assert!(decoded.len() + unit.rejects.len() <= size);
                lines.extend(decoded.iter().map(|item| item.line));
                lines.extend(unit.rejects.iter().map(|reject| reject.line));
            }
            lines.sort_unstable();
            prop_assert_eq!(lines, (1..=kinds.len() as u64).collect::<Vec<_>>());
        }
    }
}

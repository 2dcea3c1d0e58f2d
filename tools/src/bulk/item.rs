//! Items as the `Import` call takes them, encoded where they are read: a big file's items have no
//! other form on their way.

use std::ops::Range;

use idnode_proto::api::value::Ttl;
use idnode_proto::api::{ImportItem, Reference};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, message, uint32, uint64};

/// Fields of `idnode.v1.ImportItem`.
mod item_tag {
    pub(super) const LINE: u32 = 1;
    pub(super) const IDENTIFIER: u32 = 2;
    pub(super) const VALUES: u32 = 3;
    pub(super) const TEMPLATE: u32 = 4;
}

/// Fields of `idnode.v1.Value`.
mod value_tag {
    pub(super) const INDEX: u32 = 1;
    pub(super) const TYPE: u32 = 2;
    pub(super) const TEXT: u32 = 3;
    pub(super) const RAW: u32 = 4;
    pub(super) const TTL_S: u32 = 5;
    pub(super) const EXPIRES_AT_S: u32 = 6;
    pub(super) const PERMISSIONS: u32 = 7;
    pub(super) const TIMESTAMP_S: u32 = 8;
    pub(super) const REFERENCES: u32 = 9;
}

/// An item, encoded as `idnode.v1.ImportItem`.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedItem {
    line: u64,
    bytes: Vec<u8>,
}

impl EncodedItem {
    /// The physical line it starts on, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Its encoding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The item again.
    #[must_use]
    pub fn decode(&self) -> ImportItem {
        ImportItem::decode(self.bytes.as_slice()).unwrap_or_default()
    }
}

impl From<&ImportItem> for EncodedItem {
    fn from(item: &ImportItem) -> Self {
        Self {
            line: item.line,
            bytes: item.encode_to_vec(),
        }
    }
}

/// A value's data as a file has it.
#[derive(Debug)]
pub(super) enum DataRef<'a> {
    Text(&'a str),
    Raw(Vec<u8>),
}

/// A value as a file has it: `idnode.v1.Value`, where its texts are.
#[derive(Debug)]
pub(super) struct ValueParts<'a> {
    pub(super) index: u32,
    pub(super) value_type: &'a str,
    pub(super) data: DataRef<'a>,
    pub(super) ttl: Option<Ttl>,
    pub(super) permissions: Option<u32>,
    pub(super) timestamp_s: u32,
    pub(super) references: Vec<Reference>,
}

impl ValueParts<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        if self.index != 0 {
            uint32::encode(value_tag::INDEX, &self.index, out);
        }
        if !self.value_type.is_empty() {
            put(value_tag::TYPE, self.value_type.as_bytes(), out);
        }
        match &self.data {
            DataRef::Text(text) => put(value_tag::TEXT, text.as_bytes(), out),
            DataRef::Raw(raw) => put(value_tag::RAW, raw, out),
        }
        match &self.ttl {
            Some(Ttl::TtlS(seconds)) => uint32::encode(value_tag::TTL_S, seconds, out),
            Some(Ttl::ExpiresAtS(at)) => uint32::encode(value_tag::EXPIRES_AT_S, at, out),
            None => {}
        }
        if let Some(permissions) = &self.permissions {
            uint32::encode(value_tag::PERMISSIONS, permissions, out);
        }
        if self.timestamp_s != 0 {
            uint32::encode(value_tag::TIMESTAMP_S, &self.timestamp_s, out);
        }
        for reference in &self.references {
            message::encode(value_tag::REFERENCES, reference, out);
        }
    }
}

/// An item whose values are still coming.
#[derive(Debug)]
pub(super) struct ItemBuilder {
    item: EncodedItem,
    /// Where its identifier is in the encoding.
    identifier: Range<usize>,
    values_bytes: usize,
    /// The encoding of one value, kept for its memory.
    value: Vec<u8>,
}

impl ItemBuilder {
    pub(super) fn new() -> Self {
        Self {
            item: EncodedItem {
                line: 0,
                bytes: Vec::new(),
            },
            identifier: 0..0,
            values_bytes: 0,
            value: Vec::new(),
        }
    }

    /// Begins an item.
    pub(super) fn begin(&mut self, line: u64, identifier: &str) {
        let bytes = &mut self.item.bytes;
        bytes.clear();
        self.item.line = line;
        self.values_bytes = 0;
        if line != 0 {
            uint64::encode(item_tag::LINE, &line, bytes);
        }
        if !identifier.is_empty() {
            put(item_tag::IDENTIFIER, identifier.as_bytes(), bytes);
        }
        self.identifier = bytes.len() - identifier.len()..bytes.len();
    }

    /// The identifier it began with.
    pub(super) fn identifier(&self) -> &str {
        std::str::from_utf8(self.identifier_bytes()).unwrap_or_default()
    }

    /// The same as bytes.
    pub(super) fn identifier_bytes(&self) -> &[u8] {
        let bytes = self.item.bytes.get(self.identifier.clone());
        bytes.unwrap_or_default()
    }

    /// Adds a value; the encoded length of all so far, bytes.
    pub(super) fn add(&mut self, value: &ValueParts<'_>) -> usize {
        self.value.clear();
        value.encode(&mut self.value);
        put(item_tag::VALUES, &self.value, &mut self.item.bytes);
        self.values_bytes += self.value.len();
        self.values_bytes
    }

    /// Ends the item. The next one is likely to be as long.
    pub(super) fn finish(&mut self, template: &str) -> EncodedItem {
        if !template.is_empty() {
            put(
                item_tag::TEMPLATE,
                template.as_bytes(),
                &mut self.item.bytes,
            );
        }
        let next = EncodedItem {
            line: 0,
            bytes: Vec::with_capacity(self.item.bytes.len()),
        };
        std::mem::replace(&mut self.item, next)
    }
}

/// Appends a field of bytes or text.
pub(super) fn put(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

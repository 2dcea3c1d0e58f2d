//! An identifier's stored record: its values in the Handle encoding, so that the commonest
//! answers are copies, with what the registry knows about it in front.
//!
//! | field | bytes |
//! |---|---|
//! | format version | u8 = 1 |
//! | flags | u8: 1 deleted, 2 has a spelling of its own, 4 has a template |
//! | version | u64, sequence of the last change |
//! | created, updated | u64 each, milliseconds since the Unix epoch |
//! | spelling, template | u16 length + UTF-8 each, where the flags say so |
//! | deletion reason | u16 length + UTF-8, where deleted |
//! | value count | u16 |
//! | values | as [`idnode_proto::value`] encodes them, ascending by index |

use crate::{Error, Result, Sequence};
use bytes::{Buf, BufMut, Bytes};
use idnode_proto::value::{ValueRef, Values};

const VERSION: u8 = 1;
const DELETED: u8 = 1;
const SPELLED: u8 = 2;
const TEMPLATED: u8 = 4;

/// What is registered under an identifier, or the tombstone it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Sequence of its last change.
    pub version: Sequence,
    /// When it was registered, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it was last changed or deleted, milliseconds since the Unix epoch.
    pub updated_at_ms: u64,
    /// Why it was deleted; `None` while it is live.
    pub deleted: Option<String>,
    /// The spelling it was registered with, where it differs from the canonical one.
    pub display: Option<String>,
    /// The attribute template it was registered under.
    pub template: Option<String>,
    /// How many values.
    pub value_count: u16,
    /// The encoded values, ascending by index.
    pub values: Bytes,
}

impl Record {
    /// The version of a stored record, without decoding the rest of it.
    pub fn stored_version(stored: &[u8]) -> Option<Sequence> {
        let bytes = stored.get(2..10)?.first_chunk::<8>()?;
        Some(Sequence::from_be_bytes(*bytes))
    }

    /// Whether it is live, not a tombstone.
    pub fn is_live(&self) -> bool {
        self.deleted.is_none()
    }

    /// Its values. A damaged record ends the iteration early; [`Record::decode`] has checked
    /// that there is none.
    pub fn values(&self) -> impl Iterator<Item = ValueRef<'_>> {
        Values::new(&self.values, u32::from(self.value_count)).map_while(std::result::Result::ok)
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_to(&mut out);
        out.into()
    }

    /// Bytes of the stored form.
    pub fn encoded_len(&self) -> usize {
        let text = |part: &Option<String>| part.as_ref().map_or(0, |text| 2 + text.len());
        28 + text(&self.display) + text(&self.template) + text(&self.deleted) + self.values.len()
    }

    /// Appends the stored form.
    pub fn encode_to(&self, out: &mut impl BufMut) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.put_u8(VERSION);
        out.put_u8(
            flag(self.deleted.is_some(), DELETED)
                | flag(self.display.is_some(), SPELLED)
                | flag(self.template.is_some(), TEMPLATED),
        );
        out.put_u64(self.version);
        out.put_u64(self.created_at_ms);
        out.put_u64(self.updated_at_ms);
        for text in [&self.display, &self.template, &self.deleted]
            .into_iter()
            .flatten()
        {
            out.put_u16(text.len() as u16);
            out.put_slice(text.as_bytes());
        }
        out.put_u16(self.value_count);
        out.put_slice(&self.values);
    }

    /// Reads the stored form; the values stay a slice of `stored`.
    /// Errors: an unknown version, a damaged record.
    pub fn decode(stored: Bytes) -> Result<Self> {
        let mut rest = stored;
        let damaged = || Error::Storage("a damaged identifier record".into());
        if rest.len() < 26 {
            return Err(damaged());
        }
        let version = rest.get_u8();
        if version != VERSION {
            return Err(Error::Storage(format!(
                "an identifier record of unknown version {version}"
            )));
        }
        let flags = rest.get_u8();
        if flags & !(DELETED | SPELLED | TEMPLATED) != 0 {
            return Err(damaged());
        }
        let (version, created_at_ms, updated_at_ms) =
            (rest.get_u64(), rest.get_u64(), rest.get_u64());
        let mut text = |bit: u8| -> Result<Option<String>> {
            if flags & bit == 0 {
                return Ok(None);
            }
            if rest.len() < 2 {
                return Err(damaged());
            }
            let length = usize::from(rest.get_u16());
            if rest.len() < length {
                return Err(damaged());
            }
            String::from_utf8(rest.split_to(length).to_vec())
                .map(Some)
                .map_err(|_| damaged())
        };
        let (display, template, deleted) = (text(SPELLED)?, text(TEMPLATED)?, text(DELETED)?);
        if rest.len() < 2 {
            return Err(damaged());
        }
        let value_count = rest.get_u16();
        let record = Self {
            version,
            created_at_ms,
            updated_at_ms,
            deleted,
            display,
            template,
            value_count,
            values: rest,
        };
        let mut values = Values::new(&record.values, u32::from(value_count));
        // Answers copy the bytes: what follows the last value would be sent along.
        let whole = values.by_ref().all(|value| value.is_ok()) && values.rest().is_empty();
        if whole { Ok(record) } else { Err(damaged()) }
    }

    /// Bytes it takes in memory, about.
    pub fn weight(&self) -> usize {
        let text = |part: &Option<String>| part.as_ref().map_or(0, String::len);
        std::mem::size_of::<Self>() + self.values.len() + text(&self.display) + text(&self.template)
    }
}

//! Entries of the log as batches: pure but for the question whether a replaced record was live.

use super::rows::{self, Scope};
use crate::background;
use crate::change::{Change, IdentifierChange, LogEntry};
use crate::record::Record;
use crate::{Result, Sequence};
use bytes::Bytes;
use idnode_proto::api::{EnterpriseRow, MasterData, PrefixRow, TemplateRow};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use xxhash_rust::xxh3::xxh3_64;

/// A batch is closed when it has so much, bytes.
pub const BATCH_BYTES: usize = 128 << 10;

/// The field `entries` of an `IntakeBatch`, and `identifiers` of an `IntakeEntry`.
const ENTRIES: u32 = 6;
const IDENTIFIERS: u32 = 3;

/// What a batch has but its entries; as `idnode.v1.IntakeBatch`.
#[derive(Clone, PartialEq, Eq, Message)]
struct Head {
    #[prost(uint64, tag = "1")]
    first: Sequence,
    #[prost(uint64, tag = "2")]
    last: Sequence,
    #[prost(fixed64, tag = "3")]
    mark: u64,
    #[prost(uint64, tag = "4")]
    committed_at_ms: u64,
    #[prost(bool, tag = "5")]
    unfinished: bool,
}

/// What an entry has but its identifiers; as `idnode.v1.IntakeEntry`.
#[derive(Clone, PartialEq, Message)]
struct EntryHead {
    #[prost(uint64, tag = "1")]
    sequence: Sequence,
    #[prost(uint64, tag = "2")]
    committed_at_ms: u64,
    #[prost(message, optional, tag = "4")]
    enterprise: Option<EnterpriseRow>,
    #[prost(message, optional, tag = "5")]
    template: Option<TemplateRow>,
    #[prost(message, optional, tag = "6")]
    prefix: Option<PrefixRow>,
}

/// A batch that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// An encoded `idnode.v1.IntakeBatch`.
    pub encoded: Bytes,
    /// Identifiers in it.
    pub changes: usize,
    /// When it is durable, everything up to this entry is.
    pub told: Sequence,
}

/// Makes batches of entries, one after the other.
#[derive(Debug)]
pub struct Batches<'a, Live> {
    scope: &'a Scope,
    /// Whether the record that an entry replaced was live.
    was_live: Live,
    head: Head,
    entries: Vec<u8>,
    /// Identifiers in `entries`.
    changes: usize,
    ready: Vec<Batch>,
}

impl<'a, Live: Fn(&IdentifierChange) -> Result<bool>> Batches<'a, Live> {
    /// From an entry on.
    pub fn from(first: Sequence, scope: &'a Scope, was_live: Live) -> Self {
        let head = Head {
            first,
            last: first.saturating_sub(1),
            ..Head::default()
        };
        Self {
            scope,
            was_live,
            head,
            entries: Vec::new(),
            changes: 0,
            ready: Vec::new(),
        }
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// A stored record is damaged; the store fails.
    pub fn add(&mut self, entry: LogEntry) -> Result<()> {
        let (sequence, mark) = (entry.sequence, mark(&entry));
        let mut told = EntryHead {
            sequence,
            committed_at_ms: entry.committed_at_ms,
            ..EntryHead::default()
        };
        let (mut body, mut rows) = (Vec::new(), 0);
        match entry.change {
            Some(Change::Identifiers(changes)) => {
                for change in &changes.items {
                    let Some(row) = self.row(change, sequence)? else {
                        continue;
                    };
                    put(IDENTIFIERS, &row.encode_to_vec(), &mut body);
                    rows += 1;
                    if (self.changes + rows).is_multiple_of(background::ROWS) {
                        background::give_way();
                    }
                    if body.len() >= BATCH_BYTES {
                        let (body, rows) = (std::mem::take(&mut body), std::mem::take(&mut rows));
                        self.put_part(&told, mark, &body, rows);
                    }
                }
            }
            Some(Change::Enterprise(it)) => told.enterprise = Some(rows::enterprise(it)),
            Some(Change::Template(it)) => {
                told.template = Some(rows::template(it.template, it.deleted, sequence));
            }
            Some(Change::Prefix(it)) => {
                let (prefix, row) = rows::prefix(&it.record, it.removed, sequence)?;
                told.prefix = self.scope.has_prefix(&prefix).then_some(row);
            }
            // Who may write is nobody else's business.
            Some(Change::Credential(_)) | None => {}
        }
        self.put_entry(&told, &body, rows);
        (self.head.last, self.head.mark) = (sequence, mark);
        self.head.committed_at_ms = entry.committed_at_ms;
        if self.entries.len() >= BATCH_BYTES {
            self.close();
        }
        Ok(())
    }

    /// What is ready.
    pub fn finish(mut self) -> Vec<Batch> {
        if self.head.last >= self.head.first {
            self.close();
        }
        self.ready
    }

    fn row(&self, change: &IdentifierChange, sequence: Sequence) -> Result<Option<MasterData>> {
        let identifier = rows::identifier(&change.key)?;
        if !self.scope.has(&identifier) {
            return Ok(None);
        }
        let record = Record::decode(change.record.clone())?;
        // One that is new by its times replaced nothing that was live, or was changed at once.
        let replaced_live = record.is_live()
            && match change.replaced {
                None => record.created_at_ms != record.updated_at_ms,
                Some(0) => false,
                Some(_) => record.created_at_ms != record.updated_at_ms || (self.was_live)(change)?,
            };
        let operation = rows::operation(&record, replaced_live);
        Ok(Some(rows::master_data(
            &identifier,
            &record,
            operation,
            sequence,
        )))
    }

    fn put_entry(&mut self, told: &EntryHead, body: &[u8], rows: usize) {
        let tells_nothing = body.is_empty()
            && told.enterprise.is_none()
            && told.template.is_none()
            && told.prefix.is_none();
        if tells_nothing {
            return;
        }
        let length = told.encoded_len() + body.len();
        encode_key(ENTRIES, WireType::LengthDelimited, &mut self.entries);
        encode_varint(length as u64, &mut self.entries);
        told.encode_raw(&mut self.entries);
        self.entries.extend_from_slice(body);
        self.changes += rows;
    }

    /// Closes what there is, and puts a part of an entry into a batch of its own.
    fn put_part(&mut self, told: &EntryHead, mark: u64, body: &[u8], rows: usize) {
        if self.head.last >= self.head.first {
            self.close();
        }
        self.put_entry(told, body, rows);
        self.head = Head {
            last: told.sequence,
            mark,
            committed_at_ms: told.committed_at_ms,
            unfinished: true,
            ..self.head
        };
        self.close();
    }

    fn close(&mut self) {
        let mut encoded = Vec::with_capacity(self.head.encoded_len() + self.entries.len());
        self.head.encode_raw(&mut encoded);
        encoded.append(&mut self.entries);
        let told = self.head.last - u64::from(self.head.unfinished);
        self.ready.push(Batch {
            encoded: encoded.into(),
            changes: std::mem::take(&mut self.changes),
            told,
        });
        self.head = Head {
            first: told + 1,
            last: told,
            ..Head::default()
        };
    }
}

fn put(field: u32, message: &[u8], out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}

/// Something that another entry of the same number would hardly have.
pub fn mark(entry: &LogEntry) -> u64 {
    let mut parts = Vec::with_capacity(128);
    parts.extend_from_slice(&entry.sequence.to_be_bytes());
    parts.extend_from_slice(&entry.committed_at_ms.to_be_bytes());
    parts.extend_from_slice(entry.actor.as_bytes());
    match &entry.change {
        Some(Change::Identifiers(changes)) => {
            parts.extend_from_slice(&changes.items.len().to_be_bytes());
            for change in [changes.items.first(), changes.items.last()]
                .iter()
                .flatten()
            {
                parts.extend_from_slice(&change.key);
            }
        }
        Some(Change::Enterprise(it)) => parts.extend_from_slice(&it.id.to_be_bytes()),
        Some(Change::Prefix(it)) => parts.extend_from_slice(&it.record.key),
        Some(Change::Template(it)) => parts.extend_from_slice(it.template.name.as_bytes()),
        Some(Change::Credential(it)) => parts.extend_from_slice(it.id.as_bytes()),
        None => {}
    }
    xxh3_64(&parts)
}

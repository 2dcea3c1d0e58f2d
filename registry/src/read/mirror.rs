//! What mirrors read: the identifiers of some prefixes with their values, and the changes behind them.
//! A page is read by itself. What is written meanwhile may show in a later one, and comes again from
//! the log: whoever makes the changes behind the number that was current before the first page has at
//! the end what is here.

use super::{MAX_PAGE, stored_identifier};
use crate::change::{Change, IdentifierChange};
use crate::layout::{Family, index_key};
use crate::prefix_table::PrefixEntry;
use crate::record::Record;
use crate::registry::Registry;
use crate::{Caller, Error, Object, Result, Sequence};
use bytes::Bytes;
use idnode_proto::handle::AdminRights;
use idnode_proto::handle::body::mirror::Action;
use idnode_proto::identifier::{Identifier, Prefix};
use std::sync::Arc;

/// Bytes of records after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// Most rows of a page, those that are not shown among them.
const PAGE_ROWS: usize = 20_000;
/// Most entries of the log that are read for a page.
const PAGE_ENTRIES: usize = 1_000;

/// Who mirrors, and what.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// Who asks.
    pub caller: Caller,
    /// Which prefixes; none: all that is the caller's.
    pub prefixes: Vec<Prefix>,
}

/// An identifier with the values of it that the caller may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredRecord {
    /// Which, as it was registered.
    pub identifier: Identifier,
    /// How many values.
    pub count: u32,
    /// The values, encoded.
    pub values: Bytes,
}

/// A change of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredChange {
    /// The entry of the log.
    pub sequence: Sequence,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was done.
    pub action: Action,
    /// What it has had since; nothing where it is gone.
    pub record: MirroredRecord,
}

/// A page of something, and where the next one begins; `None`: there is none.
pub type MirrorPage<T, Place> = (Vec<T>, Option<Place>);

impl Registry {
    /// Identifiers behind a key, empty for the first. Blocks.
    ///
    /// # Errors
    /// The caller may not list the handles of the prefixes; the store fails.
    pub fn mirror_page(
        &self,
        mirrored: &Mirrored,
        after: &[u8],
    ) -> Result<MirrorPage<MirroredRecord, Bytes>> {
        self.require_mirrored(mirrored)?;
        let view = self.store().snapshot();
        let (mut items, mut bytes, mut rows) = (Vec::new(), 0, 0);
        for (start, end) in self.mirror_ranges(mirrored)? {
            let start = match after.is_empty() {
                true => start,
                false => start.max([after, &[0]].concat()),
            };
            if end.as_ref().is_some_and(|end| start >= *end) {
                continue;
            }
            for row in view.scan(Family::Identifiers, &start, end.as_deref())? {
                let (key, stored) = row?;
                rows += 1;
                bytes += key.len() + stored.len();
                let record = Record::decode(stored)?;
                if record.is_live() {
                    items.extend(self.mirrored(mirrored, &key, &record, None)?);
                }
                if bytes >= PAGE_BYTES || rows >= PAGE_ROWS || items.len() >= MAX_PAGE {
                    return Ok((items, Some(key)));
                }
            }
        }
        Ok((items, None))
    }

    /// The changes of entries from a number on, those of one entry together. They come with what
    /// identifiers had after them. Blocks.
    ///
    /// # Errors
    /// As of [`Registry::mirror_page`]; [`Error::Bound`]: the entry is no longer kept.
    pub fn mirror_log(
        &self,
        mirrored: &Mirrored,
        from: Sequence,
    ) -> Result<MirrorPage<MirroredChange, Sequence>> {
        self.require_mirrored(mirrored)?;
        let ranges = self.mirror_ranges(mirrored)?;
        let is_inside = |key: &[u8]| {
            let mut ranges = ranges.iter();
            ranges.any(|(start, end)| {
                key >= &start[..] && end.as_ref().is_none_or(|end| key < &end[..])
            })
        };
        let entries = self.read_log(from, PAGE_ENTRIES, PAGE_BYTES)?;
        let next = entries.last().map(|entry| entry.sequence + 1);
        let mut items = Vec::new();
        for entry in entries {
            let Some(Change::Identifiers(changes)) = entry.change else {
                continue;
            };
            for change in changes.items {
                if !is_inside(&change.key) {
                    continue;
                }
                let stored = Record::decode(change.record.clone())?;
                let by = Some(change.enterprise);
                let Some(record) = self.mirrored(mirrored, &change.key, &stored, by)? else {
                    continue;
                };
                items.push(MirroredChange {
                    sequence: entry.sequence,
                    at_ms: entry.committed_at_ms,
                    action: self.action_of(&change, &stored)?,
                    record,
                });
            }
        }
        Ok((items, next))
    }

    /// Err unless the caller may list the handles of every prefix, or of everything that is its own.
    fn require_mirrored(&self, mirrored: &Mirrored) -> Result<()> {
        let caller = &mirrored.caller;
        for prefix in &mirrored.prefixes {
            match caller {
                Caller::Administrator(administrator) => {
                    let entry = self.prefixes().get(prefix.key());
                    let entry = entry.ok_or_else(|| Error::not_found(Object::Prefix, prefix))?;
                    let right = AdminRights::LIST_HANDLES;
                    self.require_prefix_right(administrator, &entry.record, right)?;
                }
                _ => drop(self.get_prefix(caller, prefix)?),
            }
        }
        match (caller, mirrored.prefixes.is_empty()) {
            (Caller::Administrator(_), true) => caller.require_operator("mirroring everything"),
            _ => caller.require_known(),
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "ranges of keys, as exports have them"
    )]
    fn mirror_ranges(&self, mirrored: &Mirrored) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>> {
        if mirrored.prefixes.is_empty() {
            return self.export_ranges(&mirrored.caller, None);
        }
        let ranges = mirrored.prefixes.iter().map(|prefix| {
            let (start, end) = prefix.key_range();
            (start, Some(end))
        });
        Ok(super::export::merged(ranges.collect()))
    }

    /// An identifier as the caller may read it; `None`: it is another's, or was when `by` it was
    /// changed.
    fn mirrored(
        &self,
        mirrored: &Mirrored,
        key: &[u8],
        record: &Record,
        by: Option<u64>,
    ) -> Result<Option<MirroredRecord>> {
        let identifier = stored_identifier(key, record)?;
        let owner = self.prefixes().owner_of(&identifier);
        let is_shown = mirrored.shows(owner.as_ref(), by);
        if !is_shown {
            return Ok(None);
        }
        let caller = &mirrored.caller;
        let reads_all = match (caller, owner) {
            (Caller::Administrator(administrator), _) => {
                let count = record.value_count.into();
                self.administrator_reads(administrator, record.values.clone(), count)?
            }
            (_, Some(owner)) => caller.owns(owner.record.owner()),
            (_, None) => caller.is_operator(),
        };
        let mut values = Vec::with_capacity(record.values.len());
        let mut count = 0;
        for value in record.values() {
            let permissions = value.permissions();
            if permissions.public_read() || reads_all && permissions.admin_read() {
                values.extend_from_slice(value.raw());
                count += 1;
            }
        }
        Ok(Some(MirroredRecord {
            identifier,
            count,
            values: values.into(),
        }))
    }

    /// What a change was, by what it replaced.
    fn action_of(&self, change: &IdentifierChange, record: &Record) -> Result<Action> {
        if !record.is_live() {
            return Ok(Action::Delete);
        }
        let was_live = match change.replaced {
            Some(0) => false,
            Some(version) => {
                let key = index_key(version, &change.key);
                let replaced = self.store().get(Family::Superseded, &key)?;
                let replaced = replaced.map(Record::decode).transpose()?;
                replaced.is_some_and(|replaced| replaced.is_live())
            }
            None => record.created_at_ms != record.updated_at_ms,
        };
        Ok(if was_live {
            Action::Update
        } else {
            Action::Create
        })
    }
}

impl Mirrored {
    /// Whether what is under a prefix is shown to the caller.
    fn shows(&self, owner: Option<&Arc<PrefixEntry>>, by: Option<u64>) -> bool {
        let of_then = |enterprise: u64| by.is_none_or(|by| by == enterprise);
        match (&self.caller, owner) {
            (Caller::Operator { .. }, _) => true,
            (Caller::Enterprise { id, .. }, Some(owner)) => {
                owner.record.enterprise == id.0 && of_then(id.0)
            }
            (Caller::Administrator(_), Some(owner)) => {
                let mut prefixes = self.prefixes.iter();
                prefixes.any(|it| it.key() == owner.record.key) && of_then(owner.record.enterprise)
            }
            _ => false,
        }
    }
}

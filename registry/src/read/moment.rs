//! The registry at one moment, for those who copy it: all they read belongs to one place in
//! the log.

use crate::change::LogEntry;
use crate::enterprise::{Enterprise, EnterpriseId};
use crate::layout::{Family, decode_value, index_key, number_key};
use crate::prefix::PrefixRecord;
use crate::read::Counters;
use crate::record::Record;
use crate::registry::Registry;
use crate::store::View;
use crate::template::Template;
use crate::{Result, Sequence};
use bytes::Bytes;

/// State and log of a registry as they were when it was taken. It pins what it shows on the
/// disk, and reading blocks: not for async tasks.
pub struct Moment<'a> {
    registry: &'a Registry,
    view: View<'a>,
    sequence: Sequence,
}

impl std::fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// The registry as it is now.
    pub fn moment(&self) -> Result<Moment<'_>> {
        let view = self.store().snapshot();
        Ok(Moment {
            registry: self,
            sequence: self.log().head_in(&view)?,
            view,
        })
    }
}

impl Moment<'_> {
    /// The last entry whose effects are in it, and of later ones none.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Identifiers of a range of keys, tombstones among them, in the order of keys.
    pub fn identifiers(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Record)>>> {
        let rows = self.view.scan(Family::Identifiers, start, end)?;
        Ok(rows.map(|row| row.and_then(|(key, stored)| Ok((key, Record::decode(stored)?)))))
    }

    /// Keys of the identifiers of a range, tombstones among them, in order.
    pub fn identifier_keys(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<Bytes>>> {
        let rows = self.view.scan(Family::Identifiers, start, end)?;
        Ok(rows.map(|row| row.map(|(key, _)| key)))
    }

    /// Prefixes of a range of keys, in the order of keys.
    pub fn prefixes(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<PrefixRecord>>> {
        let rows = self.view.scan(Family::Prefixes, start, end)?;
        Ok(rows.map(|row| decode_value(&row?.1)))
    }

    /// A prefix by its key.
    pub fn prefix(&self, key: &[u8]) -> Result<Option<PrefixRecord>> {
        let stored = self.view.get(Family::Prefixes, key)?;
        stored.map(|stored| decode_value(&stored)).transpose()
    }

    /// An enterprise.
    pub fn enterprise(&self, id: EnterpriseId) -> Result<Option<Enterprise>> {
        let stored = self.view.get(Family::Enterprises, &number_key(id.0))?;
        stored.map(|stored| decode_value(&stored)).transpose()
    }

    /// Every template, in the order of names.
    pub fn templates(&self) -> Result<impl Iterator<Item = Result<Template>>> {
        let rows = self.view.scan(Family::Templates, &[], None)?;
        Ok(rows.map(|row| decode_value(&row?.1)))
    }

    /// The counters of a prefix.
    pub fn counters(&self, prefix: &[u8]) -> Result<Counters> {
        let stored = self.view.get(Family::Statistics, prefix)?;
        stored.map_or_else(|| Ok(Counters::default()), |stored| decode_value(&stored))
    }

    /// Every enterprise, by number.
    pub fn enterprises(&self) -> Result<impl Iterator<Item = Result<Enterprise>>> {
        let rows = self.view.scan(Family::Enterprises, &[], None)?;
        Ok(rows.map(|row| decode_value(&row?.1)))
    }

    /// An enterprise's prefixes by key, at most `limit`.
    pub fn prefixes_of(&self, id: EnterpriseId, limit: usize) -> Result<Vec<PrefixRecord>> {
        let start = id.0.to_be_bytes();
        let rows = self
            .view
            .scan_prefix(Family::PrefixesByEnterprise, &start)?;
        let found = rows.take(limit).map(|row| {
            let (key, _) = row?;
            self.prefix(key.get(start.len()..).unwrap_or_default())
        });
        found.filter_map(Result::transpose).collect()
    }

    /// An identifier, or its tombstone, by its key.
    pub fn identifier(&self, key: &[u8]) -> Result<Option<Record>> {
        let stored = self.view.get(Family::Identifiers, key)?;
        stored.map(Record::decode).transpose()
    }

    /// An identifier's record of a version that an entry still in the log has replaced;
    /// `None`: it is not kept.
    pub fn replaced(&self, key: &[u8], version: Sequence) -> Result<Option<Record>> {
        let stored = self
            .view
            .get(Family::Superseded, &index_key(version, key))?;
        stored.map(Record::decode).transpose()
    }

    /// Entries of the log from a number on, in order and without gaps, a thousand or about 1 MiB at
    /// most; none after the last. Identifiers' records may be left out of them.
    ///
    /// # Errors
    /// [`crate::Error::Bound`] when `from` is no longer kept.
    pub fn entries(&self, from: Sequence) -> Result<Vec<LogEntry>> {
        const ENTRIES: usize = 1_000;
        const BYTES: usize = 1 << 20;
        self.registry
            .log()
            .read_in(&self.view, from, ENTRIES, BYTES)
    }

    /// Live identifiers.
    pub fn live_identifiers(&self) -> Result<u64> {
        let stored = self.view.get(Family::Statistics, &[])?;
        let counters: Option<Counters> = stored.map(|stored| decode_value(&stored)).transpose()?;
        Ok(counters.map_or(0, |counters| counters.identifiers))
    }
}

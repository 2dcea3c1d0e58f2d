//! Exports: everything of a prefix or of a caller, from one snapshot.

use super::MAX_PAGE;
use crate::layout::Family;
use crate::record::Record;
use crate::registry::Registry;
use crate::{Caller, Error, Result, Sequence};
use idnode_proto::identifier::{Identifier, Prefix};
use std::ops::ControlFlow;

impl Registry {
    /// Hands every identifier of a prefix, or of everything, that is the caller's to `sink` in
    /// key order, from one snapshot, in batches of up to about 1 MiB. Returns the log position of
    /// the snapshot. Blocks: not for async tasks.
    pub fn export(
        &self,
        caller: &Caller,
        prefix: Option<&Prefix>,
        include_deleted: bool,
        mut sink: impl FnMut(Sequence, Vec<(Identifier, Record)>) -> ControlFlow<()>,
    ) -> Result<Sequence> {
        let ranges = self.export_ranges(caller, prefix)?;
        // Read first: the snapshot has at least everything up to it, so watching on from it
        // misses nothing.
        let sequence = self.applied();
        let view = self.store().snapshot();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (start, end) in ranges {
            for row in view.scan(Family::Identifiers, &start, end.as_deref())? {
                let (key, stored) = row?;
                bytes += stored.len() + key.len();
                let record = Record::decode(stored)?;
                if include_deleted || record.is_live() {
                    batch.extend(self.shown(caller, &key, record)?);
                }
                if bytes > 1 << 20 || batch.len() >= MAX_PAGE {
                    bytes = 0;
                    if sink(sequence, std::mem::take(&mut batch)).is_break() {
                        return Ok(sequence);
                    }
                }
            }
        }
        // Also when empty: the receiver learns the position, and that the export is whole.
        let _ = sink(sequence, batch);
        Ok(sequence)
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn export_ranges(
        &self,
        caller: &Caller,
        prefix: Option<&Prefix>,
    ) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>> {
        let range = |prefix: &Prefix| {
            let (start, end) = prefix.key_range();
            (start, Some(end))
        };
        match (prefix, caller) {
            (Some(prefix), _) => {
                self.get_prefix(caller, prefix)?;
                Ok(vec![range(prefix)])
            }
            (None, Caller::Operator { .. }) => Ok(vec![(Vec::new(), None)]),
            (None, Caller::Enterprise { id, .. }) => {
                let view = self.store().snapshot();
                let rows = view.scan_prefix(Family::PrefixesByEnterprise, &id.0.to_be_bytes())?;
                let mut ranges = Vec::new();
                for row in rows {
                    let (key, _) = row?;
                    let prefix = Prefix::from_key(key.get(8..).unwrap_or_default());
                    ranges.push(range(&prefix.map_err(|e| Error::Storage(e.to_string()))?));
                }
                Ok(merged(ranges))
            }
            (None, Caller::Administrator(_)) => {
                caller.require_operator("an export").map(|()| Vec::new())
            }
            (None, Caller::Stranger) => caller.require_known().map(|()| Vec::new()),
        }
    }
}

/// Ranges in order, those inside another one left out: a prefix may lie inside a shorter one.
#[allow(clippy::type_complexity)]
pub(super) fn merged(
    mut ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    ranges.sort();
    let mut out: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match out.last() {
            Some((_, last_end)) if *last_end >= end => {}
            _ => out.push((start, end)),
        }
    }
    out
}

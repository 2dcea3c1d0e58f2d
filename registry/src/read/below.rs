//! Whether anything that is answered for has a key below another, for those who answer for a
//! tree of names.

use super::stored_identifier;
use crate::Result;
use crate::layout::{Family, decode_value, prefix_end};
use crate::prefix::PrefixRecord;
use crate::record::Record;
use crate::registry::Registry;
use idnode_proto::identifier::{Identifier, Prefix};

/// Most rows one question looks at: some milliseconds.
const MAX_ROWS: usize = 5_000;
/// Rows that passing over some costs as much as, about: a new search.
const SEARCH_ROWS: usize = 10;

impl Registry {
    /// Whether an identifier is live whose key begins with these bytes, whose prefix is active and
    /// which is `wanted`. What an inactive prefix has is passed over whole, with what longer
    /// prefixes have inside it: [`Registry::any_active_prefix_below`] tells of those. Looks at a
    /// bounded number of rows: where those do not tell, it says yes, so that nothing is denied
    /// wrongly. `past`: where to go on after a row whose key says that nothing from there on up to
    /// that place is wanted. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn any_answered_below(
        &self,
        key: &[u8],
        past: impl Fn(&[u8]) -> Option<Vec<u8>>,
        wanted: impl Fn(&Identifier) -> bool,
    ) -> Result<bool> {
        let view = self.store().snapshot();
        let end = prefix_end(key);
        let (mut start, mut looked_at) = (key.to_vec(), 0);
        'ranges: loop {
            if end.as_ref().is_some_and(|end| start >= *end) {
                return Ok(false);
            }
            for row in view.scan(Family::Identifiers, &start, end.as_deref())? {
                if looked_at >= MAX_ROWS {
                    return Ok(true);
                }
                looked_at += 1;
                let (key, stored) = row?;
                if let Some(further) = past(&key) {
                    (start, looked_at) = (further, looked_at + SEARCH_ROWS);
                    continue 'ranges;
                }
                let record = Record::decode(stored)?;
                if !record.is_live() {
                    continue;
                }
                let identifier = stored_identifier(&key, &record)?;
                let Some(entry) = self.prefixes().governing(&identifier) else {
                    continue;
                };
                if entry.record.is_active() {
                    if wanted(&identifier) {
                        return Ok(true);
                    }
                    continue;
                }
                start = entry.record.prefix()?.key_range().1;
                looked_at += SEARCH_ROWS;
                continue 'ranges;
            }
            return Ok(false);
        }
    }

    /// Whether a prefix is active whose key is longer than this one and begins with it, and
    /// which is `wanted`. Bounded as [`Registry::any_answered_below`]. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn any_active_prefix_below(
        &self,
        key: &[u8],
        wanted: impl Fn(&Prefix) -> bool,
    ) -> Result<bool> {
        let view = self.store().snapshot();
        let end = prefix_end(key);
        let rows = view.scan(Family::Prefixes, key, end.as_deref())?;
        for (looked_at, row) in rows.enumerate() {
            if looked_at == MAX_ROWS {
                return Ok(true);
            }
            let record: PrefixRecord = decode_value(&row?.1)?;
            if !record.is_active() || record.key == *key {
                continue;
            }
            if wanted(&record.prefix()?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

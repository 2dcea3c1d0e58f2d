//! Whether anything is registered below a key, for those who answer for a tree of names.

use super::page::MAX_PAGE_ROWS;
use crate::Result;
use crate::layout::{Family, prefix_end};
use crate::record::Record;
use crate::registry::Registry;

impl Registry {
    /// Whether a live identifier's key begins with these bytes. Looks at a bounded number of
    /// rows: where those are all tombstones it says yes, so that nothing is denied wrongly.
    /// Blocks.
    pub fn any_live_below(&self, key: &[u8]) -> Result<bool> {
        let view = self.store().snapshot();
        let end = prefix_end(key);
        let mut rows = view.scan(Family::Identifiers, key, end.as_deref())?;
        for row in rows.by_ref().take(MAX_PAGE_ROWS) {
            if Record::decode(row?.1)?.is_live() {
                return Ok(true);
            }
        }
        Ok(rows.next().transpose()?.is_some())
    }

    /// Whether a prefix is registered, in whatever state, whose key is longer than this one and
    /// begins with it. Blocks.
    pub fn any_prefix_below(&self, key: &[u8]) -> Result<bool> {
        let view = self.store().snapshot();
        let end = prefix_end(key);
        let mut rows = view.scan(Family::Prefixes, key, end.as_deref())?;
        let first = rows.next().transpose()?;
        Ok(match first {
            Some((found, _)) if *found == *key => rows.next().transpose()?.is_some(),
            first => first.is_some(),
        })
    }
}

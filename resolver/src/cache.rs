//! The hot cache: records by identifier key, and that there is none. An entry carries the log
//! position it was read at, and one older than the last invalidation of its key is never
//! served: no stale answer survives an acknowledged write on this node.
//!
//! Once half its room is taken, what is read for the first time, as whoever walks through all
//! identifiers does, is not kept: keeping it would cost more than the read, and push out what is
//! asked for again and again.

use foldhash::fast::RandomState;
use idnode_registry::Sequence;
use idnode_registry::record::Record;
use moka::sync::Cache;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Invalidations are kept in this many slots by key hash; keys that share a slot only cost
/// each other a read.
const SLOTS: usize = 1 << 16;

/// Keys that were read lately are remembered in this many slots by key hash, the last one of each
/// slot: among so many different ones, about, one that is read again is known.
const SEEN_SLOTS: usize = 1 << 19;

/// What the allocator rounds up to, and moka's own bookkeeping, measured as resident memory.
const ENTRY_BYTES: usize = 450;
/// Most entries that there is room for from the start.
const MOST_PLACES: usize = 1 << 20;

/// What the store said about a key.
#[derive(Debug)]
pub struct CacheEntry {
    /// The log position the read was at least as new as.
    pub read_at: Sequence,
    /// The record or tombstone; `None`: there is none.
    pub record: Option<Arc<Record>>,
}

/// Tells whether a record that was read is still the last one, without holding its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordStamp {
    slot: usize,
    read_at: Sequence,
}

/// Records by identifier key.
#[derive(Debug)]
pub struct HotCache {
    entries: Cache<Box<[u8]>, Arc<CacheEntry>, RandomState>,
    hasher: RandomState,
    /// As much is kept of what was read once, bytes.
    spare_bytes: u64,
    invalidated: Box<[AtomicU64]>,
    /// Of the key that was read last in each slot: bits of its hash that do not choose the slot.
    seen: Box<[AtomicU32]>,
}

#[allow(
    clippy::borrowed_box,
    reason = "moka weighs keys of the type it stores"
)]
fn weight_of(key: &Box<[u8]>, entry: &Arc<CacheEntry>) -> u32 {
    let record = entry.record.as_ref().map_or(0, |record| record.weight());
    u32::try_from(key.len() + record + ENTRY_BYTES).unwrap_or(u32::MAX)
}

impl HotCache {
    /// A cache of up to about `capacity_bytes` of keys and records.
    pub fn new(capacity_bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(capacity_bytes)
            // Its table need not grow, entry by entry, while answers are waited for.
            .initial_capacity((capacity_bytes as usize / ENTRY_BYTES).min(MOST_PLACES))
            .weigher(weight_of)
            .build_with_hasher(RandomState::default());
        Self {
            entries,
            hasher: RandomState::default(),
            spare_bytes: capacity_bytes / 2,
            invalidated: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            seen: (0..SEEN_SLOTS).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn slot(&self, key: &[u8]) -> Option<&AtomicU64> {
        self.invalidated.get(self.slot_number(key))
    }

    fn slot_number(&self, key: &[u8]) -> usize {
        self.hasher.hash_one(key) as usize % SLOTS
    }

    /// What an answer made from an entry rests on.
    pub fn stamp(&self, key: &[u8], entry: &CacheEntry) -> RecordStamp {
        RecordStamp {
            slot: self.slot_number(key),
            read_at: entry.read_at,
        }
    }

    /// Whether nothing has invalidated the key since the entry behind the stamp was read.
    pub fn is_current_stamp(&self, stamp: &RecordStamp) -> bool {
        let slot = self.invalidated.get(stamp.slot);
        slot.is_some_and(|slot| stamp.read_at >= slot.load(Ordering::Acquire))
    }

    /// The entry of a key, unless it is older than the key's last invalidation.
    pub fn get(&self, key: &[u8]) -> Option<Arc<CacheEntry>> {
        self.entries
            .get(key)
            .filter(|entry| self.is_current(key, entry))
    }

    /// Whether nothing has invalidated the key since the entry was read.
    pub fn is_current(&self, key: &[u8], entry: &CacheEntry) -> bool {
        self.slot(key)
            .is_none_or(|slot| entry.read_at >= slot.load(Ordering::Acquire))
    }

    /// Keeps what was read at a log position, if the key was read before or there is much room.
    pub fn fill(&self, key: &[u8], entry: &Arc<CacheEntry>) {
        // A reader that was slow must not push out what a quicker one has read since; if it
        // does so in between, `get` refuses the entry.
        if self.is_current(key, entry) && (self.was_seen(key) || self.has_spare_room()) {
            self.entries.insert(key.into(), entry.clone());
        }
    }

    /// Whether a key was read lately; it is from now on.
    fn was_seen(&self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        // 0 is an empty slot.
        let mark = ((hash >> 32) as u32).max(1);
        let slot = self.seen.get(hash as usize % SEEN_SLOTS);
        slot.is_some_and(|slot| slot.swap(mark, Ordering::Relaxed) == mark)
    }

    fn has_spare_room(&self) -> bool {
        // As of moka's last housekeeping, a few dozen entries ago.
        self.entries.weighted_size() < self.spare_bytes
    }

    /// Makes everything read about a key before a log position invalid, before it returns. An
    /// entry stays, unserved, until the next read replaces it or others need its room: looking
    /// for one costs a bulk load, of keys that nobody has read, more than the rest of this.
    pub fn invalidate(&self, key: &[u8], at: Sequence) {
        if let Some(slot) = self.slot(key) {
            slot.fetch_max(at, Ordering::AcqRel);
        }
    }

    /// Entries held, about.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(read_at: Sequence) -> Arc<CacheEntry> {
        Arc::new(CacheEntry {
            read_at,
            record: None,
        })
    }

    #[test]
    fn what_is_read_once_takes_half_the_room_at_most() {
        let most = 1_000;
        let cache = HotCache::new(most * (ENTRY_BYTES as u64 + 4));
        for key in 0_u32..10_000 {
            cache.fill(&key.to_be_bytes(), &entry(5));
            cache.entries.run_pending_tasks();
        }
        let kept = cache.len();
        assert!((most / 2..most / 2 + 10).contains(&kept), "{kept} are kept");
        assert!(cache.get(&9_999_u32.to_be_bytes()).is_none());
        cache.fill(&9_999_u32.to_be_bytes(), &entry(5));
        assert!(cache.get(&9_999_u32.to_be_bytes()).is_some(), "asked again");
    }

    #[test]
    fn an_entry_read_before_an_invalidation_is_never_served() {
        let cache = HotCache::new(1 << 20);
        cache.fill(b"k", &entry(5));
        assert_eq!(cache.get(b"k").unwrap().read_at, 5);
        cache.invalidate(b"k", 6);
        assert!(cache.get(b"k").is_none());
        // A slow reader fills with what it read before the write.
        cache.fill(b"k", &entry(5));
        assert!(cache.get(b"k").is_none(), "a stale fill is refused");
        // Even one that slips in between check and insertion is not served.
        cache.entries.insert(b"k".as_slice().into(), entry(5));
        assert!(cache.get(b"k").is_none(), "a stale entry is not served");
        cache.fill(b"k", &entry(6));
        assert_eq!(cache.get(b"k").unwrap().read_at, 6);
    }
}

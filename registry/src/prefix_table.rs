//! Every prefix in memory: it is asked on each resolution which prefix an identifier belongs
//! to, whether that is active, and whether it is delegated.

use crate::latency::Latencies;
use crate::prefix::PrefixRecord;
use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use idnode_proto::identifier::{Identifier, Relation};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Maps are replaced whole on a change, so readers never wait; in this many parts, so that a
/// change copies little.
const SHARDS: usize = 256;

type Shard = HashMap<Box<[u8]>, Arc<PrefixEntry>, FixedState>;

/// A prefix and what this process has counted for it.
#[derive(Debug)]
pub struct PrefixEntry {
    /// As stored.
    pub record: Arc<PrefixRecord>,
    /// Resolutions asked and answered, kept across changes of the record.
    pub traffic: Arc<Traffic>,
}

/// Resolutions under one prefix since this process began.
#[derive(Debug, Default)]
pub struct Traffic {
    /// The prefix's key; empty: of no registered one.
    pub key: Box<[u8]>,
    /// Resolutions asked for.
    pub queries: AtomicU64,
    /// Of these, with an answer other than an error.
    pub successes: AtomicU64,
    /// How long registrations of single identifiers took.
    pub registering: Latencies,
    /// What of the counts has been taken over into the day's: [`Traffic::take`] alone touches it.
    taken: [AtomicU64; 2],
}

impl Traffic {
    fn of(key: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            key: key.into(),
            ..Self::default()
        })
    }

    /// Queries and successes since the last time; of a query that is being counted, perhaps without
    /// its success, which comes the next time. One thread calls this.
    pub fn take(&self) -> (u64, u64) {
        // Successes first: none is taken before its query.
        let successes = self.successes.load(Ordering::Acquire);
        let queries = self.queries.load(Ordering::Acquire);
        let [taken_queries, taken_successes] = &self.taken;
        let before = (
            taken_queries.swap(queries, Ordering::Relaxed),
            taken_successes.swap(successes, Ordering::Relaxed),
        );
        (queries - before.0, successes - before.1)
    }

    /// Counts one resolution.
    #[inline]
    pub fn count(&self, success: bool) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        if success {
            self.successes.fetch_add(1, Ordering::Release);
        }
    }
}

/// Every prefix of this node, by key.
#[derive(Debug)]
pub struct PrefixTable {
    shards: Vec<ArcSwap<Shard>>,
    hasher: FixedState,
    /// Changes so far.
    epoch: AtomicU64,
    /// Questions for no identifier of a registered prefix.
    elsewhere: Arc<Traffic>,
}

impl Default for PrefixTable {
    fn default() -> Self {
        let shards = (0..SHARDS)
            .map(|_| ArcSwap::from_pointee(Shard::default()))
            .collect();
        Self {
            shards,
            hasher: FixedState::default(),
            epoch: AtomicU64::new(0),
            elsewhere: Traffic::of(&[]),
        }
    }
}

impl PrefixTable {
    /// A number that grows with every change: what was found under one epoch holds as long as
    /// it lasts. It is to be asked before the table is.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// After the change can be seen, so that who saw the table before it has the older epoch.
    fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn shard(&self, key: &[u8]) -> Option<&ArcSwap<Shard>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }

    /// The prefix with this key.
    pub fn get(&self, key: &[u8]) -> Option<Arc<PrefixEntry>> {
        self.shard(key)?.load().get(key).cloned()
    }

    /// The prefix an identifier belongs to: the longest that owns it, else the longest
    /// delegated one above it, whose node may know more.
    pub fn governing(&self, identifier: &Identifier) -> Option<Arc<PrefixEntry>> {
        identifier.prefix_candidates().find_map(|candidate| {
            let entry = self.get(candidate.key)?;
            let governs =
                candidate.relation == Relation::Owner || entry.record.delegation.is_some();
            governs.then_some(entry)
        })
    }

    /// The prefix that owns an identifier, in whatever state, if it is registered.
    pub fn owner_of(&self, identifier: &Identifier) -> Option<Arc<PrefixEntry>> {
        identifier
            .prefix_candidates()
            .filter(|candidate| candidate.relation == Relation::Owner)
            .find_map(|candidate| self.get(candidate.key))
    }

    /// Puts many prefixes at once, as when the node starts.
    pub fn load(&self, records: impl Iterator<Item = PrefixRecord>) {
        let mut parts: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        for record in records {
            let position = self.hasher.hash_one(record.key.as_ref()) as usize % SHARDS;
            if let Some(part) = parts.get_mut(position) {
                let key = record.key.as_ref().into();
                let traffic = Traffic::of(&record.key);
                let record = Arc::new(record);
                part.insert(key, Arc::new(PrefixEntry { record, traffic }));
            }
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            shard.store(Arc::new(part));
        }
        self.changed();
    }

    /// Puts one prefix. Only the writer calls this.
    pub fn put(&self, record: PrefixRecord) {
        let Some(shard) = self.shard(&record.key) else {
            return;
        };
        let mut copy = Shard::clone(&shard.load());
        let traffic = copy
            .get(record.key.as_ref())
            .map_or_else(|| Traffic::of(&record.key), |entry| entry.traffic.clone());
        let (key, record) = (record.key.as_ref().into(), Arc::new(record));
        copy.insert(key, Arc::new(PrefixEntry { record, traffic }));
        shard.store(Arc::new(copy));
        self.changed();
    }

    /// Removes one prefix. Only the writer calls this.
    pub fn remove(&self, key: &[u8]) {
        let Some(shard) = self.shard(key) else { return };
        let mut copy = Shard::clone(&shard.load());
        copy.remove(key);
        shard.store(Arc::new(copy));
        self.changed();
    }

    /// What was asked for that is no identifier of a registered prefix: unknown prefixes, and
    /// prefixes themselves (`0.NA/…`).
    pub fn elsewhere(&self) -> &Arc<Traffic> {
        &self.elsewhere
    }

    /// Resolutions that were asked for since this process began, but for those of prefixes that were
    /// removed.
    pub fn queries(&self) -> u64 {
        let of = |traffic: &Traffic| traffic.queries.load(Ordering::Relaxed);
        let shards = self.shards.iter().map(|shard| {
            let shard = shard.load();
            shard.values().map(|it| of(&it.traffic)).sum::<u64>()
        });
        shards.sum::<u64>() + of(&self.elsewhere)
    }

    /// Every prefix as it is now, in no order.
    pub fn all(&self) -> Vec<Arc<PrefixEntry>> {
        let shards = self.shards.iter();
        shards
            .flat_map(|shard| shard.load().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.load().len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

//! The resolution core: the only place that knows how an answer is found. Hot cache, then
//! store, then delegation; templates of a prefix for what is not registered. Fronts decode to a
//! [`Query`] and encode an [`Answer`].
//!
//! [`Resolver::try_resolve`] never waits: it asks the cache and what of the store is in
//! memory. [`Resolver::resolve`] goes on to the disk, once for however many ask at a time.
//!
//! | module | holds |
//! |---|---|
//! | `query`, `answer` | what is asked and answered; `answer` grants reading |
//! | `wanted` | which values a filter lets through |
//! | `place` | what the prefix of an identifier decides |
//! | `reading` | records, from memory or the disk |
//! | `administered` | what administrators may read |
//! | `templated` | what templates of a prefix make of handles that are not registered |

mod administered;
mod answer;
mod place;
mod query;
mod reading;
mod templated;
mod wanted;

pub use self::answer::{Answer, Missing, Resolved};
use self::place::Place;
pub use self::query::{Filter, Query};
use self::reading::{ReadUnderWay, read_lost};
use self::templated::{Namespaces, Templates};
use crate::cache::{CacheEntry, HotCache, RecordStamp};
use crate::measure;
use crate::odds::Odds;
use idnode_proto::identifier::Identifier;
use idnode_registry::change::{Change, LogEntry};
use idnode_registry::prefix_table::{PrefixEntry, Traffic};
use idnode_registry::{Caller, CommitObserver, Registry, Result};
use metrics::Counter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What an answer from memory rests on. A front that keeps encoded answers keeps it with them,
/// and serves them while [`Resolver::stands`].
#[derive(Debug, Clone)]
pub struct Basis {
    /// The prefix table's epoch.
    epoch: u64,
    /// The record, or that there is none; `None`: the prefix alone decided.
    record: Option<RecordStamp>,
    /// The prefix's counters, and whether the answer is a success to them.
    traffic: Option<(Arc<Traffic>, bool)>,
}

impl PartialEq for Basis {
    /// Whether both rest on the same states.
    fn eq(&self, other: &Self) -> bool {
        (self.epoch, self.record) == (other.epoch, other.record)
    }
}

impl Basis {
    /// Counts an answer that is given again.
    pub fn count(&self) {
        if let Some((traffic, success)) = &self.traffic {
            measure::count(traffic, *success);
        }
    }
}

/// The resolution core.
#[derive(Debug)]
pub struct Resolver {
    registry: Arc<Registry>,
    cache: Arc<HotCache>,
    own_site: Vec<u8>,
    /// Disk reads under way, by key.
    reads: Mutex<HashMap<Box<[u8]>, ReadUnderWay>>,
    odds: Odds,
    namespaces: Namespaces,
    hits: Counter,
    misses: Counter,
}

impl Resolver {
    /// A core over a registry that was opened with `cache` as (part of) its observer. Its
    /// metrics go to the recorder that is installed by then.
    pub fn new(registry: Arc<Registry>, cache: Arc<HotCache>, own_site: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            cache,
            own_site,
            reads: Mutex::default(),
            odds: Odds::default(),
            namespaces: Namespaces::new(),
            hits: metrics::counter!("idnode_cache_hits_total"),
            misses: metrics::counter!("idnode_cache_misses_total"),
        })
    }

    /// The answer if memory alone knows it; `None`: ask [`Resolver::resolve`]. Never waits.
    pub fn try_resolve(&self, query: &Query<'_>) -> Option<Result<Answer>> {
        let found = self.try_resolve_with_basis(query)?;
        Some(found.map(|(answer, _)| answer))
    }

    /// The same, with what the answer rests on.
    pub fn try_resolve_with_basis(&self, query: &Query<'_>) -> Option<Result<(Answer, Basis)>> {
        self.try_with(query, Templates::Asked)
    }

    /// The same for what is registered alone, whatever templates would make of what is not.
    pub fn try_registered(&self, query: &Query<'_>) -> Option<Result<(Answer, Basis)>> {
        self.try_with(query, Templates::PassedOver)
    }

    fn try_with(&self, query: &Query<'_>, templates: Templates) -> Option<Result<(Answer, Basis)>> {
        // What an administrator may read is in other records, which the disk may have to be asked
        // for.
        if matches!(query.caller, Caller::Administrator(_)) {
            return None;
        }
        let mut basis = self.basis_now();
        let prefix = match self.place(query.identifier) {
            Place::Answered(answer, traffic) => {
                let success = !matches!(answer, Answer::Missing(_));
                basis.traffic = traffic.map(|traffic| (traffic, success));
                return Some(Ok((answer, basis)));
            }
            Place::Here(prefix) => prefix,
        };
        let key = query.identifier.key();
        match self.lookup_in_memory(key) {
            Ok(Some(entry))
                if templates == Templates::Asked
                    && self.may_be_templated(&prefix, query.identifier, &entry) =>
            {
                None
            }
            Ok(Some(entry)) => {
                let answer = counted(&prefix, answer_from(&prefix, &entry));
                let success = matches!(answer, Answer::Found(_));
                basis.record = Some(self.cache.stamp(key, &entry));
                basis.traffic = Some((prefix.traffic.clone(), success));
                Some(Ok((answer, basis)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// What an answer rests on that is made from the prefix table from now on.
    pub fn basis_now(&self) -> Basis {
        Basis {
            epoch: self.registry.prefixes().epoch(),
            record: None,
            traffic: None,
        }
    }

    /// Whether an answer is still what would be answered now.
    pub fn stands(&self, basis: &Basis) -> bool {
        let record = basis.record.as_ref();
        basis.epoch == self.registry.prefixes().epoch()
            && record.is_none_or(|stamp| self.cache.is_current_stamp(stamp))
    }

    /// The answer, from the disk if need be.
    /// Errors: [`idnode_registry::Error::Storage`].
    pub async fn resolve(self: &Arc<Self>, query: &Query<'_>) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => {
                let answer = self.answer_under(&prefix, query.identifier).await?;
                counted(&prefix, answer)
            }
        };
        self.as_seen(query, answer).await
    }

    /// The answer to a question of the node's own, on the way to another answer: no prefix counts
    /// it.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Storage`].
    pub async fn look_up(self: &Arc<Self>, identifier: &Identifier) -> Result<Answer> {
        match self.place_uncounted(identifier) {
            Place::Answered(answer, _) => Ok(answer),
            Place::Here(prefix) => self.answer_under(&prefix, identifier).await,
        }
    }

    /// What the store has of an identifier whose prefix is served here.
    async fn answer_under(
        self: &Arc<Self>,
        prefix: &Arc<PrefixEntry>,
        identifier: &Identifier,
    ) -> Result<Answer> {
        let key = identifier.key();
        let entry = match self.lookup_in_memory(key)? {
            Some(entry) => entry,
            None => self.read_from_disk(key).await?,
        };
        if self.may_be_templated(prefix, identifier, &entry) {
            return self
                .answer_elsewhere(prefix.clone(), identifier, entry)
                .await;
        }
        Ok(answer_from(prefix, &entry))
    }

    /// The answer, read on this thread if memory does not know it: for whoever has threads of its
    /// own for that, and many questions for each. May block on the disk.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Storage`].
    pub fn resolve_blocking(&self, query: &Query<'_>) -> Result<Answer> {
        self.resolve_with(query, Templates::Asked)
    }

    /// The same for what is registered alone.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Storage`].
    pub fn registered_blocking(&self, query: &Query<'_>) -> Result<Answer> {
        self.resolve_with(query, Templates::PassedOver)
    }

    fn resolve_with(&self, query: &Query<'_>, templates: Templates) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => {
                let entry = self.lookup_blocking(query.identifier.key())?;
                let answer = match templates {
                    Templates::Asked => self.answer_here(&prefix, query.identifier, &entry)?,
                    Templates::PassedOver => answer_from(&prefix, &entry),
                };
                counted(&prefix, answer)
            }
        };
        self.administered(answer, query.caller)
    }

    /// The answer by what was read since the question came, of what is registered alone.
    ///
    /// # Errors
    /// [`idnode_registry::Error::Storage`].
    pub fn resolve_read(&self, query: &Query<'_>, entry: &CacheEntry) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => counted(&prefix, answer_from(&prefix, entry)),
        };
        self.administered(answer, query.caller)
    }

    /// The registry behind this core.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The hot cache.
    pub fn cache(&self) -> &HotCache {
        &self.cache
    }

    /// The node's own service site, HS_SITE data.
    pub fn own_site(&self) -> &[u8] {
        &self.own_site
    }
}

/// Counts an answer of a prefix: on the thread, or in the task, of whoever asks.
fn counted(prefix: &PrefixEntry, answer: Answer) -> Answer {
    measure::count(&prefix.traffic, matches!(answer, Answer::Found(_)));
    answer
}

fn answer_from(prefix: &PrefixEntry, entry: &CacheEntry) -> Answer {
    match &entry.record {
        None => Answer::Missing(Missing::Identifier),
        Some(record) => match &record.deleted {
            Some(reason) => Answer::Missing(Missing::Deleted {
                version: record.version,
                at_ms: record.updated_at_ms,
                reason: reason.clone(),
            }),
            None => Answer::Found(Resolved::new(record.clone(), prefix.record.owner())),
        },
    }
}

/// Invalidates what a commit changed, before it is acknowledged. Prefixes are not cached: the
/// prefix table is asked on every resolution.
impl CommitObserver for HotCache {
    fn committed(&self, entries: &[LogEntry]) {
        for entry in entries {
            if let Some(Change::Identifiers(changes)) = &entry.change {
                for item in &changes.items {
                    self.invalidate(&item.key, entry.sequence);
                }
            }
        }
    }
}

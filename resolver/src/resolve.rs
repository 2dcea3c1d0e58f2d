//! The resolution core: the only place that knows how an answer is found. Hot cache, then
//! store, then delegation; templates of a prefix for what is not registered. Fronts decode to a
//! [`Query`] and encode an [`Answer`].
//!
//! [`Resolver::try_resolve`] never waits: it asks the cache and what of the store is in
//! memory. [`Resolver::resolve`] goes on to the disk, once for however many ask at a time.

mod administered;
mod templated;
mod wanted;

use self::templated::{Namespaces, Templates};
use crate::cache::{CacheEntry, HotCache, RecordStamp};
use crate::odds::Odds;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Ttl, Value, ValueRef, encode_values, types};
use idnode_registry::change::{Change, LogEntry};
use idnode_registry::enterprise::EnterpriseId;
use idnode_registry::prefix::PrefixState;
use idnode_registry::prefix_table::{PrefixEntry, Traffic};
use idnode_registry::record::Record;
use idnode_registry::{Caller, CommitObserver, Error, Registry, Result};
use metrics::Counter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use wanted::Wanted;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The identifier.
    pub identifier: &'a Identifier,
    /// Which of its values.
    pub filter: &'a Filter,
    /// Who asks.
    pub caller: &'a Caller,
    /// Leave non-public values out even for those who may read them.
    pub public_only: bool,
}

/// Which values are asked for: those whose type or whose index is named; all if none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Value types, compared without regard to ASCII case. A type ending in `.` asks for all
    /// types that begin with it (RFC 3652 §3.2.1).
    pub types: Vec<String>,
    /// Value indexes.
    pub indexes: Vec<u32>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.indexes.is_empty()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The identifier is registered here; the filter may match none of its values.
    Found(Resolved),
    /// Its prefix is served elsewhere: ask there.
    Referral(Arc<PrefixEntry>),
    /// There is no answer here.
    Missing(Missing),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The prefix is served here, the identifier is not registered.
    Identifier,
    /// It was registered and is deleted.
    Deleted {
        /// Sequence of the deletion.
        version: u64,
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
        /// Why.
        reason: String,
    },
    /// The prefix is not registered here.
    Prefix,
    /// The prefix is registered and not active (启用).
    PrefixNotActive(PrefixState),
}

/// A registered identifier, seen by one caller.
#[derive(Debug, Clone)]
pub struct Resolved {
    record: Arc<Record>,
    owner: EnterpriseId,
    /// Who asked is an administrator of it with the right to read (RFC 3651 §3.2.1).
    administered: bool,
}

impl Resolved {
    /// A live record of an enterprise's.
    pub(crate) fn new(record: Arc<Record>, owner: EnterpriseId) -> Self {
        Self {
            record,
            owner,
            administered: false,
        }
    }

    /// The values that are asked for and that the caller may read, ascending by index. The one
    /// place where reading is granted: no front sees any other value.
    pub fn values<'a>(&'a self, query: &'a Query<'a>) -> impl Iterator<Item = ValueRef<'a>> {
        let nobody = Caller::Stranger;
        let public_only = query.public_only;
        let wanted = Wanted::by(query.filter);
        self.record.values().filter(move |value| {
            let caller = if public_only { &nobody } else { query.caller };
            wanted.has(value) && self.may_read(caller, value)
        })
    }

    fn may_read(&self, caller: &Caller, value: &ValueRef<'_>) -> bool {
        let permissions = value.permissions();
        caller.may_read(permissions, self.owner)
            || self.administered
                && permissions.admin_read()
                && matches!(caller, Caller::Administrator(_))
    }

    /// Whether it has values asked for that the caller may not read: a front whose protocol
    /// has a way to log in says so.
    pub fn withheld(&self, query: &Query<'_>) -> bool {
        let wanted = Wanted::by(query.filter);
        self.record
            .values()
            .any(|value| !self.may_read(query.caller, &value) && wanted.has(&value))
    }

    /// Whether the TTL of a value depends on the time.
    pub fn has_absolute_ttl(&self) -> bool {
        let mut values = self.record.values();
        values.any(|value| matches!(value.ttl(), Ttl::AbsoluteS(_)))
    }

    /// Sequence of its last change.
    pub fn version(&self) -> u64 {
        self.record.version
    }

    /// When it was registered, milliseconds since the Unix epoch.
    pub fn created_at_ms(&self) -> u64 {
        self.record.created_at_ms
    }

    /// When it was last changed, milliseconds since the Unix epoch.
    pub fn updated_at_ms(&self) -> u64 {
        self.record.updated_at_ms
    }

    /// The template it is registered under.
    pub fn template(&self) -> Option<&str> {
        self.record.template.as_deref()
    }

    /// The spelling it was registered with, or the canonical one.
    pub fn spelling(&self, identifier: &Identifier) -> String {
        self.record
            .display
            .clone()
            .unwrap_or_else(|| identifier.canonical())
    }
}

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
            traffic.count(*success);
        }
    }
}

type Read = std::result::Result<Arc<CacheEntry>, Error>;
/// Where those who wait for a read get it.
type ReadUnderWay = watch::Receiver<Option<Read>>;

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
                let success = matches!(answer, Answer::Referral(_));
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
                let answer = answer_from(&prefix, &entry);
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
    /// Errors: [`Error::Storage`].
    pub async fn resolve(self: &Arc<Self>, query: &Query<'_>) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => {
                let key = query.identifier.key();
                let entry = match self.lookup_in_memory(key)? {
                    Some(entry) => entry,
                    None => self.read_from_disk(key).await?,
                };
                if self.may_be_templated(&prefix, query.identifier, &entry) {
                    self.answer_elsewhere(prefix, query.identifier, entry)
                        .await?
                } else {
                    answer_from(&prefix, &entry)
                }
            }
        };
        self.as_seen(query, answer).await
    }

    /// The answer, read on this thread if memory does not know it: for whoever has threads of its
    /// own for that, and many questions for each. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn resolve_blocking(&self, query: &Query<'_>) -> Result<Answer> {
        self.resolve_with(query, Templates::Asked)
    }

    /// The same for what is registered alone.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn registered_blocking(&self, query: &Query<'_>) -> Result<Answer> {
        self.resolve_with(query, Templates::PassedOver)
    }

    fn resolve_with(&self, query: &Query<'_>, templates: Templates) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => {
                let key = query.identifier.key();
                let entry = match self.cache.get(key) {
                    Some(entry) => entry,
                    None => self.read(key)?,
                };
                match templates {
                    Templates::Asked => self.answer_here(&prefix, query.identifier, &entry)?,
                    Templates::PassedOver => answer_from(&prefix, &entry),
                }
            }
        };
        self.administered(answer, query.caller)
    }

    /// What is stored under each of several identifiers, read in one go: at less cost for each
    /// than one after the other. May block on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn read_many(&self, identifiers: &[&Identifier]) -> Result<Vec<Arc<CacheEntry>>> {
        let keys: Vec<&[u8]> = identifiers.iter().map(|it| it.key()).collect();
        let (read_at, records) = self.registry.read_many(&keys)?;
        let entries = keys.into_iter().zip(records).map(|(key, record)| {
            let record = record.map(Arc::new);
            let entry = Arc::new(CacheEntry { read_at, record });
            self.cache.fill(key, &entry);
            entry
        });
        Ok(entries.collect())
    }

    /// The answer by what was read since the question came, of what is registered alone.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn resolve_read(&self, query: &Query<'_>, entry: &CacheEntry) -> Result<Answer> {
        let answer = match self.place(query.identifier) {
            Place::Answered(answer, _) => answer,
            Place::Here(prefix) => answer_from(&prefix, entry),
        };
        self.administered(answer, query.caller)
    }

    /// What the prefix alone decides.
    fn place(&self, identifier: &Identifier) -> Place {
        if let Some(prefix) = identifier.prefix_handle() {
            return Place::Answered(self.describe_prefix(identifier, &prefix), None);
        }
        let Some(entry) = self.registry.prefixes().governing(identifier) else {
            return Place::Answered(Answer::Missing(Missing::Prefix), None);
        };
        if !entry.record.is_active() {
            entry.traffic.count(false);
            let missing = Missing::PrefixNotActive(entry.record.state());
            return Place::Answered(Answer::Missing(missing), Some(entry.traffic.clone()));
        }
        if entry.record.delegation.is_some() {
            entry.traffic.count(true);
            let traffic = entry.traffic.clone();
            return Place::Answered(Answer::Referral(entry), Some(traffic));
        }
        Place::Here(entry)
    }

    /// `0.NA/<prefix>`: the prefix's service sites, its own when it is delegated, else this
    /// node's; behind them the values that the prefix has itself. Below a delegated prefix its node knows: a referral.
    fn describe_prefix(&self, identifier: &Identifier, prefix: &Prefix) -> Answer {
        let Some(entry) = self.registry.prefixes().get(prefix.key()) else {
            let above = std::iter::successors(prefix.parent(), Prefix::parent)
                .filter_map(|parent| self.registry.prefixes().get(parent.key()))
                .find(|entry| entry.record.is_active() && entry.record.delegation.is_some());
            // Nothing is registered under 0.NA itself, so a prefix handle is missing as such.
            let missing = || Answer::Missing(Missing::Identifier);
            return above.map_or_else(missing, Answer::Referral);
        };
        if !entry.record.is_active() {
            return Answer::Missing(Missing::PrefixNotActive(entry.record.state()));
        }
        let sites = match &entry.record.delegation {
            Some(delegation) => delegation.sites.iter().map(|site| site.to_vec()).collect(),
            None => vec![self.own_site.clone()],
        };
        let updated_at_ms = entry.record.updated_at_ms;
        let values: Vec<Value> = sites
            .into_iter()
            .zip(1..)
            .map(|(site, index)| Value {
                ttl: Ttl::DEFAULT,
                timestamp_s: (updated_at_ms / 1_000) as u32,
                ..Value::new(index, types::HS_SITE, site)
            })
            .collect();
        let mut encoded = encode_values(&values);
        encoded.extend_from_slice(&entry.record.values);
        let record = Record {
            version: entry.record.version,
            created_at_ms: entry.record.created_at_ms,
            updated_at_ms,
            deleted: None,
            display: identifier.spelling().map(str::to_owned),
            template: None,
            value_count: values.len() as u16 + entry.record.value_count as u16,
            values: encoded.into(),
        };
        Answer::Found(Resolved::new(Arc::new(record), entry.record.owner()))
    }

    fn lookup_in_memory(&self, key: &[u8]) -> Result<Option<Arc<CacheEntry>>> {
        if let Some(entry) = self.cache.get(key) {
            self.hits.increment(1);
            return Ok(Some(entry));
        }
        self.misses.increment(1);
        if !self.odds.worth_asking() {
            return Ok(None);
        }
        let found = self.registry.read_in_memory(key)?;
        self.odds.learn(found.is_some());
        let Some((read_at, record)) = found else {
            return Ok(None);
        };
        let entry = Arc::new(CacheEntry {
            read_at,
            record: record.map(Arc::new),
        });
        self.cache.fill(key, &entry);
        Ok(Some(entry))
    }

    /// Reads a key from the disk; those who ask for the same key meanwhile share the read.
    async fn read_from_disk(self: &Arc<Self>, key: &[u8]) -> Result<Arc<CacheEntry>> {
        let shared = wait(self.join_read(key)).await?;
        if self.cache.is_current(key, &shared) {
            return Ok(shared);
        }
        // A write was acknowledged after the shared read had begun, perhaps before this
        // question was asked: only a read that begins now may answer it.
        wait(self.start_read(key.into())).await
    }

    fn join_read(self: &Arc<Self>, key: &[u8]) -> ReadUnderWay {
        let mut reads = self.reads.lock();
        if let Some(under_way) = reads.get(key) {
            return under_way.clone();
        }
        let result = self.start_read(key.into());
        reads.insert(key.into(), result.clone());
        result
    }

    /// Begins a read as a task of its own: it ends for the others even if its first caller
    /// goes away.
    fn start_read(self: &Arc<Self>, key: Box<[u8]>) -> ReadUnderWay {
        let (done, result) = watch::channel(None);
        let resolver = self.clone();
        tokio::task::spawn_blocking(move || {
            let read = resolver.read(&key);
            resolver.reads.lock().remove(&key);
            done.send_replace(Some(read));
        });
        result
    }

    /// Reads a key and keeps what it found. May block on the disk.
    fn read(&self, key: &[u8]) -> Result<Arc<CacheEntry>> {
        let (read_at, record) = self.registry.read(key)?;
        let entry = Arc::new(CacheEntry {
            read_at,
            record: record.map(Arc::new),
        });
        self.cache.fill(key, &entry);
        Ok(entry)
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

/// Where an identifier's answer is.
enum Place {
    /// The prefix alone decided, and counts it if it is registered.
    Answered(Answer, Option<Arc<Traffic>>),
    /// In the store, under this prefix.
    Here(Arc<PrefixEntry>),
}

fn answer_from(prefix: &PrefixEntry, entry: &CacheEntry) -> Answer {
    let answer = match &entry.record {
        None => Answer::Missing(Missing::Identifier),
        Some(record) => match &record.deleted {
            Some(reason) => Answer::Missing(Missing::Deleted {
                version: record.version,
                at_ms: record.updated_at_ms,
                reason: reason.clone(),
            }),
            None => Answer::Found(Resolved::new(record.clone(), prefix.record.owner())),
        },
    };
    prefix.traffic.count(matches!(answer, Answer::Found(_)));
    answer
}

async fn wait(mut result: ReadUnderWay) -> Result<Arc<CacheEntry>> {
    match result.wait_for(Option::is_some).await {
        Ok(read) => read.clone().unwrap_or_else(|| Err(read_lost())),
        Err(_) => Err(read_lost()),
    }
}

fn read_lost() -> Error {
    Error::Storage("the read was lost".into())
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

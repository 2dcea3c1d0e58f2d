//! [`Registry`]: the store, the log and the writer, opened together.

mod writing;

pub use writing::Submission;

use crate::change::{Change, LogEntry};
use crate::credential::{Credential, split_token};
use crate::latency::Latencies;
use crate::layout::{Family, decode_value};
use crate::log::{ChangeLog, local::LocalLog};
use crate::name_table::NameTable;
use crate::prefix_table::PrefixTable;
use crate::record::Record;
use crate::store::{Mutation, Store, StoreOptions, Tiered};
use crate::upward::{Journal, takeover};
use crate::valid::Valid;
use crate::write::{Endorser, Held, Writer, WriterHandle};
use crate::{Caller, Error, Result, Sequence, layout, unknown_credential};
use arc_swap::ArcSwapOption;
use idnode_proto::identifier::{Identifier, Prefix};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// How many commands may wait for the writer.
const WRITER_QUEUE: usize = 4_096;

/// Told of every group of changes when it is durable and before it is acknowledged: what it
/// invalidates is invalid by then. Runs on the writer thread and must be quick.
pub trait CommitObserver: Send + Sync {
    /// These entries are committed.
    fn committed(&self, entries: &[LogEntry]);
}

impl CommitObserver for () {
    fn committed(&self, _: &[LogEntry]) {}
}

/// How a registry is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory and files.
    pub store: StoreOptions,
    /// Most commands one group commits.
    pub group_commit_max: usize,
    /// How long idempotency keys are kept, milliseconds.
    pub idempotency_retention_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            group_commit_max: 512,
            idempotency_retention_ms: 7 * 86_400_000,
        }
    }
}

/// What a hash in a DNS name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashedName {
    /// An identifier, live or deleted.
    Identifier(Identifier),
    /// A registered prefix, in whatever state.
    Prefix(Prefix),
}

/// The registry of a node.
pub struct Registry {
    store: Arc<Store>,
    log: Arc<dyn ChangeLog>,
    prefixes: Arc<PrefixTable>,
    names: Arc<NameTable>,
    applied: watch::Receiver<Sequence>,
    writer: Mutex<Option<WriterHandle>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    draining: AtomicBool,
    poisoned: Arc<AtomicBool>,
    endorser: OnceLock<Arc<Endorser>>,
    provisioned: OnceLock<Vec<Prefix>>,
    registering: Latencies,
    held: Arc<ArcSwapOption<Held>>,
    pub(crate) valid: Arc<Valid>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("store", &self.store)
            .field("applied", &self.applied())
            .finish()
    }
}

impl Registry {
    /// Makes an empty registry with its operator credential, whose token is returned and kept
    /// nowhere. Errors: the directory holds a registry already.
    pub fn create(dir: &Path) -> Result<String> {
        Store::create(dir)?;
        let store = Arc::new(Store::open(dir, &StoreOptions::default())?);
        let log = LocalLog::open(store)?;
        let (mut credential, token) = Credential::generate(None, "operator".into())?;
        credential.version = 1;
        let entry = LogEntry {
            sequence: 1,
            committed_at_ms: credential.created_at_ms,
            actor: credential.id.clone(),
            change: Some(Change::Credential(credential.clone())),
        };
        let put = Mutation {
            family: Family::Credentials,
            key: credential.id.clone().into_bytes().into(),
            value: Some(layout::encode_value(&credential)),
        };
        log.append(0, &[entry], vec![put])
            .map_err(|e| Error::Storage(e.to_string()))?;
        Ok(token)
    }

    /// Opens a registry and starts its writer.
    /// Errors: there is none; it is open elsewhere; it is of another version.
    pub fn open(dir: &Path, options: &Options, observer: Arc<dyn CommitObserver>) -> Result<Self> {
        let store = Arc::new(Store::open(dir, &options.store)?);
        let log = Arc::new(LocalLog::open(store.clone())?);
        Self::over(store, log, options, observer)
    }

    /// A registry over an open store and the log that leads to it.
    pub(crate) fn over(
        store: Arc<Store>,
        log: Arc<dyn ChangeLog>,
        options: &Options,
        observer: Arc<dyn CommitObserver>,
    ) -> Result<Self> {
        let prefixes = Arc::new(PrefixTable::default());
        prefixes.load(stored_prefixes(&store)?.into_iter());
        let names = Arc::new(NameTable::default());
        put_stored_names(&store, &names)?;
        let (applied_sender, applied) = watch::channel(log.head()?);
        let poisoned = Arc::new(AtomicBool::new(false));
        // Before anybody can write.
        let held = takeover::held(&Journal::new(store.clone()))?;
        let held = Arc::new(ArcSwapOption::from(held.map(Arc::new)));
        let valid = Arc::new(Valid::default());
        let writer = Writer {
            store: store.clone(),
            log: log.clone(),
            prefixes: prefixes.clone(),
            names: names.clone(),
            observer,
            applied: applied_sender,
            poisoned: poisoned.clone(),
            group_commit_max: options.group_commit_max,
            idempotency_retention_ms: options.idempotency_retention_ms,
            prune_next: Mutex::default(),
            held: held.clone(),
            valid: valid.clone(),
        };
        let (handle, thread) = writer.start(WRITER_QUEUE)?;
        Ok(Self {
            store,
            log,
            prefixes,
            names,
            applied,
            writer: Mutex::new(Some(handle)),
            thread: Mutex::new(Some(thread)),
            draining: AtomicBool::new(false),
            poisoned,
            endorser: OnceLock::new(),
            provisioned: OnceLock::new(),
            registering: Latencies::new(),
            held,
            valid,
        })
    }

    /// How long registrations of single identifiers took, of all prefixes.
    pub fn registering(&self) -> &Latencies {
        &self.registering
    }

    /// From now on the national node reviews what is approved here of the prefixes below these. Once
    /// for a registry: a second one changes nothing.
    pub fn provision_below(&self, prefixes: Vec<Prefix>) {
        let _ = self.provisioned.set(prefixes);
    }

    /// The prefix of the node's own that a prefix is below of, where the national node reviews it.
    pub fn provisioned_under(&self, prefix: &Prefix) -> Option<&Prefix> {
        let own = self.provisioned.get()?.iter();
        let mut above = own.filter(|own| {
            let mut above = prefix.candidates().skip(1);
            above.any(|it| it.key == own.key())
        });
        above.next()
    }

    /// The first of the node's own prefixes below which the national node reviews.
    pub fn provisioned_first(&self) -> Option<String> {
        let first = self.provisioned.get()?.first();
        first.map(Prefix::canonical)
    }

    /// From now on what is registered is signed. Once for a registry: a second one changes
    /// nothing.
    pub fn endorse_by(&self, endorser: Endorser) {
        let _ = self.endorser.set(Arc::new(endorser));
    }

    /// Takes no more writes, finishes those under way and stops the writer. Blocks.
    pub fn close(&self) {
        self.draining.store(true, Ordering::Release);
        drop(self.writer.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread panicked");
        }
    }

    /// Who a token belongs to. Errors: [`Error::Unauthenticated`].
    pub fn authenticate(&self, token: &str) -> Result<Caller> {
        let (id, secret) = split_token(token)?;
        let stored = self
            .store
            .get(Family::Credentials, id.as_bytes())?
            .ok_or_else(unknown_credential)?;
        let found: Credential = decode_value(&stored)?;
        if !found.accepts(secret) {
            return Err(unknown_credential());
        }
        Ok(found.caller())
    }

    /// An identifier's record, from memory or disk; with the log position it is at least as
    /// new as. May block on the disk.
    pub fn read(&self, key: &[u8]) -> Result<(Sequence, Option<Record>)> {
        let applied = self.applied();
        let record = self
            .store
            .get(Family::Identifiers, key)?
            .map(Record::decode)
            .transpose()?;
        Ok((applied, record))
    }

    /// As [`Registry::read`] for many keys, in their order, at less cost for each.
    pub fn read_many(&self, keys: &[&[u8]]) -> Result<(Sequence, Vec<Option<Record>>)> {
        let applied = self.applied();
        let stored = self.store.get_many(Family::Identifiers, keys)?;
        let records = stored
            .into_iter()
            .map(|stored| stored.map(Record::decode).transpose());
        Ok((applied, records.collect::<Result<_>>()?))
    }

    /// As [`Registry::read`] where memory alone knows; `None` where the disk must be asked.
    pub fn read_in_memory(&self, key: &[u8]) -> Result<Option<(Sequence, Option<Record>)>> {
        let applied = self.applied();
        match self.store.get_in_memory(Family::Identifiers, key)? {
            Tiered::Known(stored) => Ok(Some((applied, stored.map(Record::decode).transpose()?))),
            Tiered::NotInMemory => Ok(None),
        }
    }

    /// What has a DNS name with this hash: the caller compares the rest of the name. May block
    /// on the disk.
    pub fn hashed_name(&self, hash: &[u8; 20]) -> Result<Option<HashedName>> {
        let Some(key) = self.store.get(Family::HashedNames, hash)? else {
            return Ok(None);
        };
        let named = if key.contains(&0) {
            Identifier::from_key(&key).map(HashedName::Identifier)
        } else {
            Prefix::from_key(&key).map(HashedName::Prefix)
        };
        named.map(Some).map_err(|e| Error::Storage(e.to_string()))
    }

    /// Entries of the change log from a number on. Blocks. See [`ChangeLog::read`].
    pub fn read_log(
        &self,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>> {
        self.log.read(from, max_entries, max_bytes)
    }

    /// The oldest entry the log still keeps.
    pub fn oldest(&self) -> Result<Sequence> {
        self.log.oldest()
    }

    /// Forgets log entries committed before a time, milliseconds since the Unix epoch. Blocks.
    pub fn trim_log(&self, committed_before_ms: u64) -> Result<()> {
        let (mut low, mut high) = (self.log.oldest()?, self.log.head()? + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.log.read(middle, 1, 1)?;
            if entry
                .first()
                .is_some_and(|entry| entry.committed_at_ms < committed_before_ms)
            {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.log.trim(low)
    }

    /// The last sequence whose effects every read on this node sees.
    pub fn applied(&self) -> Sequence {
        *self.applied.borrow()
    }

    /// Wakes when [`Registry::applied`] grows.
    pub fn watch_applied(&self) -> watch::Receiver<Sequence> {
        self.applied.clone()
    }

    /// Every prefix, in memory.
    pub fn prefixes(&self) -> &PrefixTable {
        &self.prefixes
    }

    /// The names of every enterprise, in memory.
    pub(crate) fn names(&self) -> &NameTable {
        &self.names
    }

    /// The journal of what the node has told others.
    pub fn journal(&self) -> Journal {
        Journal::new(self.store.clone())
    }

    /// Bytes of the store's live data.
    pub fn store_bytes(&self) -> u64 {
        self.store.size_bytes()
    }

    /// Whether writes are taken: the node is not draining and the log has not failed.
    pub fn takes_writes(&self) -> bool {
        !self.draining.load(Ordering::Acquire) && !self.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn log(&self) -> &dyn ChangeLog {
        &*self.log
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.close();
    }
}

fn stored_prefixes(store: &Store) -> Result<Vec<crate::prefix::PrefixRecord>> {
    let view = store.snapshot();
    view.scan(Family::Prefixes, &[], None)?
        .map(|row| decode_value(&row?.1))
        .collect()
}

fn put_stored_names(store: &Store, names: &NameTable) -> Result<()> {
    let view = store.snapshot();
    for row in view.scan(Family::Enterprises, &[], None)? {
        names.put(&decode_value(&row?.1)?);
    }
    Ok(())
}

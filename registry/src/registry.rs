//! [`Registry`]: the store, the log and the writer, opened together.

use crate::administrator::{Committed, HandleValues, Handles as _, rights_of};
use crate::change::{Change, LogEntry};
use crate::credential::{Credential, split_token};
use crate::enterprise::EnterpriseId;
use crate::latency::Latencies;
use crate::layout::{Family, decode_value};
use crate::log::{ChangeLog, local::LocalLog};
use crate::name_table::NameTable;
use crate::prefix::PrefixAction;
use crate::prefix_table::{PrefixTable, Traffic};
use crate::record::Record;
use crate::store::{Mutation, Store, StoreOptions, Tiered};
use crate::upward::{Journal, takeover};
use crate::write::{Command, Endorser, Held, Idempotency, Origin, Receipt, Writer, WriterHandle};
use crate::{Caller, Error, Object, Result, Sequence, layout};
use arc_swap::ArcSwapOption;
use idnode_proto::identifier::{Identifier, Prefix};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::watch;

/// How many commands may wait for the writer.
const WRITER_QUEUE: usize = 4_096;

/// How often an update is signed anew because the record changed meanwhile.
const ENDORSING_ATTEMPTS: usize = 32;

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
        })
    }

    /// Carries out a command: checked, numbered, durable and visible on this node when it
    /// returns. Cancelling the wait does not take the command back.
    pub async fn write(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
    ) -> Result<Receipt> {
        let command = self.left_to_national(command);
        self.carry_out(caller, idempotency, command, Origin::Here)
            .await
    }

    /// Carries out a command of the node itself, in the name of those above it: what it approves is
    /// approved.
    pub async fn write_as_node(&self, command: Command) -> Result<Receipt> {
        self.carry_out(&Caller::node(), None, command, Origin::Above)
            .await
    }

    /// Carries out a command of the node itself, in the name of those above it, by the rules that hold
    /// for an enterprise: its quota, its prefixes, what it may change.
    pub async fn write_for(&self, enterprise: EnterpriseId, command: Command) -> Result<Receipt> {
        let caller = Caller::Enterprise {
            id: enterprise,
            credential: Caller::node().credential().to_owned(),
        };
        self.carry_out(&caller, None, command, Origin::Above).await
    }

    /// From now on nothing of this is registered here but by those above; `None`: everything is again.
    /// What was begun before is done when this returns. It must be durable elsewhere.
    ///
    /// # Errors
    /// The node is shutting down, or its log has failed: then nothing is registered at all.
    pub async fn hold(&self, held: Option<Held>) -> Result<()> {
        let hold = Command::Hold(held);
        self.carry_out(&Caller::node(), None, hold, Origin::Above)
            .await
            .map(drop)
    }

    /// What the national node has taken over.
    pub fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Receipt> {
        caller.require_known()?;
        let unavailable = || Error::Unavailable("the node is shutting down".into());
        if self.draining.load(Ordering::Acquire) {
            return Err(unavailable());
        }
        let writer = self.writer.lock().clone().ok_or_else(unavailable)?;
        let registered = self.registered_under(&command);
        let began = Instant::now();
        let written = match self.endorser.get() {
            Some(endorser) if endorser.concerns(&command) => {
                self.write_endorsed(endorser, &writer, caller, idempotency, command, origin)
                    .await
            }
            _ => {
                writer
                    .write(caller.clone(), idempotency, command, origin)
                    .await
            }
        };
        if let (Some(traffic), Ok(_)) = (registered, &written) {
            let took = began.elapsed();
            traffic.registering.record(took);
            self.registering.record(took);
        }
        written
    }

    /// Whose registrations a command counts among; `None`: it registers no single identifier.
    fn registered_under(&self, command: &Command) -> Option<Arc<Traffic>> {
        let Command::CreateIdentifier(draft) = command else {
            return None;
        };
        let owner = self.prefixes.owner_of(draft.identifier())?;
        Some(owner.traffic.clone())
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

    /// A command with approval and resumption as what they are where the national node has the last
    /// word.
    fn left_to_national(&self, mut command: Command) -> Command {
        if let Command::TransitionPrefix { prefix, action, .. } = &mut command
            && self.provisioned_under(prefix).is_some()
        {
            *action = match *action {
                PrefixAction::Approve => PrefixAction::Submit,
                PrefixAction::Resume => PrefixAction::ResumeGranted,
                other => other,
            };
        }
        command
    }

    /// From now on what is registered is signed. Once for a registry: a second one changes
    /// nothing.
    pub fn endorse_by(&self, endorser: Endorser) {
        let _ = self.endorser.set(Arc::new(endorser));
    }

    /// Signs what a command registers and hands it in.
    async fn write_endorsed(
        &self,
        endorser: &Arc<Endorser>,
        writer: &WriterHandle,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Receipt> {
        for _ in 0..ENDORSING_ATTEMPTS {
            let (endorser, unsigned, whose) = (endorser.clone(), command.clone(), caller.clone());
            let (store, prefixes) = (self.store.clone(), self.prefixes.clone());
            let signing = tokio::task::spawn_blocking(move || {
                let committed = Committed {
                    store: &store,
                    prefixes: &prefixes,
                };
                endorsed(&endorser, &committed, &whose, unsigned)
            });
            let signed = signing
                .await
                .map_err(|_| Error::Storage("signing ended without a result".into()))??;
            let written = writer.write(caller.clone(), idempotency.clone(), signed, origin);
            let written = written.await;
            match (&written, &command) {
                // The record has changed since it was signed, not since the caller read it.
                (
                    Err(Error::VersionMismatch { expected, .. }),
                    Command::UpdateIdentifier(update),
                ) if update.expected_version() != Some(*expected) => {}
                // It is allowed by now, and was not signed since it was not.
                (
                    Err(Error::VersionMismatch {
                        object: Object::Prefix,
                        ..
                    }),
                    Command::CreateIdentifier(_),
                ) => {}
                _ => return written,
            }
        }
        Err(Error::Unavailable(
            "the identifier changes faster than its values are signed; try again".into(),
        ))
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
        let unknown = || Error::Unauthenticated("the credential is not known, or revoked".into());
        let stored = self
            .store
            .get(Family::Credentials, id.as_bytes())?
            .ok_or_else(unknown)?;
        let found: Credential = decode_value(&stored)?;
        if !found.accepts(secret) {
            return Err(unknown());
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

/// The command with what it registers signed, where the caller may register it as far as can be
/// told beside the writer: a signature is dear, and the writer refuses the rest.
fn endorsed(
    endorser: &Endorser,
    committed: &Committed<'_>,
    caller: &Caller,
    command: Command,
) -> Result<Command> {
    let grants = endorser.grants(committed)?;
    Ok(match command {
        Command::CreateIdentifier(draft) => {
            // Read first: what is asked next may be of a later version only.
            let prefix = committed.prefixes.owner_of(draft.identifier());
            let prefix_version = prefix.map_or(0, |prefix| prefix.record.version);
            let concerned = concerns(committed, caller, draft.identifier(), None)?;
            Command::CreateIdentifier(match concerned {
                true => endorser.draft(draft, &grants)?,
                false => draft.withheld_at(prefix_version),
            })
        }
        Command::UpdateIdentifier(update) => {
            let identifier = update.identifier();
            let existing = committed.identifier_record(identifier)?;
            let existing = existing.filter(Record::is_live);
            let concerned = concerns(committed, caller, identifier, existing.as_ref())?;
            let existing = existing.filter(|_| concerned);
            Command::UpdateIdentifier(endorser.update(update, existing.as_ref(), &grants)?)
        }
        Command::ImportChunk {
            import_id,
            number,
            mode,
            items,
        } if endorser.imports => Command::ImportChunk {
            import_id,
            number,
            mode,
            items: endorser.chunk(items, &grants, |identifier| {
                let owner = committed.prefixes.owner_of(identifier);
                owner.is_some_and(|owner| caller.owns(owner.record.owner()))
            }),
        },
        other => other,
    })
}

/// Whether an identifier is the caller's to register or to change: its prefix is its own, or the
/// record's HS_ADMIN values, or without a record the prefix's, name the administrator.
fn concerns(
    committed: &Committed<'_>,
    caller: &Caller,
    identifier: &Identifier,
    existing: Option<&Record>,
) -> Result<bool> {
    let Some(owner) = committed.prefixes.owner_of(identifier) else {
        return Ok(false);
    };
    let Caller::Administrator(administrator) = caller else {
        return Ok(caller.owns(owner.record.owner()));
    };
    let values = existing.map_or_else(
        || HandleValues::of_prefix(&owner.record),
        HandleValues::of_record,
    );
    Ok(rights_of(committed, administrator, &values)?.is_some())
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

//! Makes what is due, sends what lies ready, asks what has become of it. One deposit at a time, on
//! a thread that may block; nobody waits for it.

use super::directory_name;
use super::entry::{Deposit, DepositLog, Status};
use super::events::Events;
use super::make::{MakeError, Maker};
use super::moved::moved;
use super::schedule::{BACKOFF_MS, Due, Plan, Standing};
use super::sftp::{Link, SendError, SftpOptions};
use super::spool::Spool;
use crate::registry::Registry;
use crate::upward::{Channel, Uplink};
use crate::{Sequence, now_ms};
use bytes::Bytes;
use idnode_proto::escrow::package::PackOptions;
use idnode_proto::identifier::Prefix;
use idnode_proto::trust::PrivateKey;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

/// How deposits are made and sent.
#[derive(Debug)]
pub struct EscrowOptions {
    /// When what is deposited.
    pub plan: Plan,
    /// The node, such as `88.118`.
    pub node: String,
    /// Compression, parts, receiver.
    pub pack: PackOptions,
    /// The key that manifests are signed with.
    pub signer: PrivateKey,
    /// Where deposits lie until they are sent.
    pub spool: PathBuf,
    /// The receiver's server.
    pub sftp: SftpOptions,
    /// How often is looked for what is due.
    pub check: Duration,
}

/// Where deposits are asked for out of turn.
#[derive(Debug, Default)]
pub struct Desk {
    asked: Mutex<BTreeMap<Bytes, bool>>,
    wake: Notify,
}

impl Desk {
    /// Asks for a deposit of each of these prefixes, FULL or what is due next.
    pub fn ask(&self, prefixes: impl IntoIterator<Item = Bytes>, full: bool) {
        let mut asked = self.asked.lock();
        for prefix in prefixes {
            *asked.entry(prefix).or_default() |= full;
        }
        self.wake();
    }

    /// Has the task look now for what is due.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// What is asked for of a prefix, until it is [done](Desk::done).
    fn asked(&self, prefix: &[u8]) -> Option<bool> {
        self.asked.lock().get(prefix).copied()
    }

    /// What was asked for is done; not what is asked for since.
    fn done(&self, prefix: &[u8], seen: Option<bool>) {
        let mut asked = self.asked.lock();
        if asked.get(prefix).copied() == seen {
            asked.remove(prefix);
        }
    }
}

/// The task.
#[derive(Debug)]
pub struct Escrow {
    registry: Arc<Registry>,
    pub(super) uplink: Arc<Uplink>,
    plan: Plan,
    maker: Arc<Maker>,
    sftp: SftpOptions,
    pub(super) check: Duration,
    /// Verdicts that are waited for, and when they are asked for next.
    pub(super) waiting: BTreeMap<(Bytes, u64), u64>,
}

impl Drop for Escrow {
    fn drop(&mut self) {
        self.maker.stopping.store(true, Ordering::Relaxed);
    }
}

/// The deposit log, as the task and what it hands to threads share it.
pub(super) type Log = Arc<Mutex<DepositLog>>;

impl Escrow {
    /// A node's escrow, as soon as it [runs](Escrow::run).
    pub fn new(registry: Arc<Registry>, uplink: Arc<Uplink>, options: EscrowOptions) -> Self {
        uplink.open(Channel::Escrow, &options.sftp.server, now_ms());
        Self {
            registry,
            uplink,
            plan: options.plan,
            maker: Arc::new(Maker {
                node: options.node,
                pack: options.pack,
                signer: options.signer,
                spool: Spool::new(options.spool),
                stopping: false.into(),
            }),
            sftp: options.sftp,
            check: options.check,
            waiting: BTreeMap::new(),
        }
    }

    /// Goes on until it is dropped. Wherever that happens, the journal tells how to go on.
    pub async fn run(mut self) {
        let log = loop {
            match self.open_log().await {
                Ok(log) => break log,
                Err(error) => tracing::error!(%error, "the deposit log cannot be read"),
            }
            tokio::time::sleep(self.check).await;
        };
        loop {
            if let Err(error) = self.round(&log).await {
                tracing::error!(%error, "escrow");
                self.uplink
                    .fails(Channel::Escrow, &error.to_string(), now_ms());
            }
            let pause = self.next_question().min(self.check);
            let uplink = self.uplink.clone();
            tokio::select! {
                () = uplink.desk().wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads the log, and which verdicts are waited for; forgets files that nobody waits for.
    async fn open_log(&mut self) -> Result<Log, MakeError> {
        let (journal, maker) = (self.uplink.journal().clone(), self.maker.clone());
        let (log, waiting) = blocking(move || {
            let log = DepositLog::open(journal)?;
            let waiting: BTreeMap<_, _> = log.unanswered()?.into_iter().map(|it| (it, 0)).collect();
            for key in log.prefixes() {
                let ready: Vec<&str> = log
                    .recent(key)
                    .filter(|it| it.status() == Status::Sending)
                    .map(|it| it.id.as_str())
                    .collect();
                maker.spool.tidy(&directory_name(&parsed(key)?), &ready)?;
            }
            Ok((log, waiting))
        })
        .await?;
        self.waiting = waiting;
        Ok(Arc::new(Mutex::new(log)))
    }

    /// Everything that can be done now.
    async fn round(&mut self, log: &Log) -> Result<(), MakeError> {
        let (registry, all) = (self.registry.clone(), log.clone());
        let (registered, known, moving) = blocking(move || {
            let moment = registry.moment()?;
            let registered = moment
                .prefixes(&[], None)?
                .map(|record| Ok(record?.key))
                .collect::<crate::Result<BTreeSet<Bytes>>>()?;
            let log = all.lock();
            let known: BTreeSet<Bytes> = log.prefixes().cloned().collect();
            let moving = moved(&log, &registered);
            drop(log);
            Ok((registered, known, moving))
        })
        .await?;
        let mut link = None;
        let mut events = Events::after(self.oldest_since(log, &registered));
        let mut trouble = None;
        for key in registered.union(&known) {
            let standing = Standing {
                registered: registered.contains(key),
                asked: self.uplink.desk().asked(key),
                moved: moving.contains(key),
            };
            let due = {
                let log = log.lock();
                self.plan.due(log.recent(key), standing, now_ms())
            };
            let ready = match due {
                Due::Nothing => continue,
                Due::Send(entry) => *entry,
                Due::Make(entry) => match self
                    .make(log, key, *entry, standing.asked, &mut events)
                    .await
                {
                    Ok(entry) if entry.status() == Status::Sending => entry,
                    Ok(_) => continue,
                    Err(MakeError::Ended) => return Err(MakeError::Ended),
                    Err(error) => {
                        trouble = Some(error);
                        continue;
                    }
                },
            };
            self.send(log, key, ready, &mut link).await?;
        }
        self.ask_for_receipts(log, &mut link).await?;
        self.count_backlog(log);
        // Something has moved as this round told: the deposits that lack it follow at once.
        if !moved(&log.lock(), &registered).is_subset(&moving) {
            self.uplink.desk().wake();
        }
        if let Some(Ok(link)) = link {
            link.close().await;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// The oldest revision that a DIFF of this round may be since.
    fn oldest_since(&self, log: &Log, registered: &BTreeSet<Bytes>) -> Sequence {
        let log = log.lock();
        let bases = registered.iter().filter_map(|key| {
            let base = log.recent(key).rfind(|it| it.stands())?;
            Some(base.revision)
        });
        bases.min().unwrap_or_else(|| self.registry.applied())
    }

    /// Makes a deposit; its entry then.
    async fn make(
        &self,
        log: &Log,
        key: &Bytes,
        begun: Deposit,
        asked: Option<bool>,
        events: &mut Events,
    ) -> Result<Deposit, MakeError> {
        let begun = {
            let (log, key) = (log.clone(), key.clone());
            blocking(move || Ok(log.lock().begin(&key, begun)?)).await?
        };
        self.uplink.desk().done(key, asked);
        let (registry, maker, prefix) = (self.registry.clone(), self.maker.clone(), parsed(key)?);
        let mut taken = std::mem::take(events);
        let entry = begun.clone();
        let (made, taken) = blocking(move || {
            let made = maker.make(&registry, &prefix, entry, &mut taken, now_ms());
            Ok((made, taken))
        })
        .await?;
        *events = taken;
        let entry = match made {
            Ok(entry) => entry,
            Err(MakeError::Ended) => return Err(MakeError::Ended),
            Err(error) => {
                tracing::error!(%error, prefix = %parsed(key)?, "a deposit was not made");
                let mut entry = begun.after_failure(error.to_string(), now_ms(), BACKOFF_MS);
                entry.set_status(Status::Failed);
                put(log, key, &entry).await?;
                return Err(error);
            }
        };
        put(log, key, &entry).await?;
        tracing::info!(prefix = %parsed(key)?, id = entry.id, full = entry.full, bytes = entry.bytes,
            identifiers = entry.identifiers, "a deposit is made");
        Ok(entry)
    }

    /// Sends a deposit that lies ready.
    async fn send(
        &mut self,
        log: &Log,
        key: &Bytes,
        entry: Deposit,
        link: &mut Option<Result<Link, String>>,
    ) -> Result<(), MakeError> {
        let prefix = directory_name(&parsed(key)?);
        let sent = match self.linked(link).await {
            Ok(link) => {
                let local = self.maker.spool.whole(&prefix, &entry.id);
                let sent = link.upload(&local, &prefix, &entry.id).await;
                sent.map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason),
        };
        match sent {
            Ok(()) => {
                let mut entry = entry;
                entry.ended_ms = now_ms();
                entry.set_status(Status::Sent);
                entry.reason.clear();
                put(log, key, &entry).await?;
                self.waiting.insert((key.clone(), entry.number), 0);
                self.uplink.works(Channel::Escrow, now_ms());
                self.forget(&prefix, &entry.id).await;
                if self.uplink.desk().asked(key).is_some() {
                    self.uplink.desk().wake();
                }
                count(&entry, "sent");
                metrics::counter!("idnode_escrow_bytes_total").increment(entry.bytes);
                metrics::gauge!("idnode_escrow_last_deposit_seconds").set(now_ms() as f64 / 1e3);
            }
            Err(reason) => {
                tracing::warn!(reason, id = entry.id, "a deposit was not sent");
                self.uplink.fails(Channel::Escrow, &reason, now_ms());
                let (maker, dir, id) = (self.maker.clone(), prefix.clone(), entry.id.clone());
                let is_whole = blocking(move || Ok(maker.spool.is_whole(&dir, &id))).await?;
                let mut entry = entry.after_failure(reason.clone(), now_ms(), BACKOFF_MS);
                if !is_whole {
                    // What lay ready is gone: it is made anew, under another id, since some of
                    // it may have arrived.
                    entry.set_status(Status::Failed);
                    self.forget(&prefix, &entry.id).await;
                }
                put(log, key, &entry).await?;
                // What this connection is worth, the next deposit need not find out again.
                *link = Some(Err(reason));
            }
        }
        Ok(())
    }

    /// Forgets the files of a deposit. What stays is forgotten when the node starts.
    async fn forget(&self, prefix: &str, id: &str) {
        let (maker, dir, name) = (self.maker.clone(), prefix.to_owned(), id.to_owned());
        let gone = blocking(move || Ok(maker.spool.forget(&dir, &name)?)).await;
        if let Err(error) = gone {
            tracing::warn!(%error, id, "the files of a deposit stay");
        }
    }

    /// The connection of this round, or why there is none.
    pub(super) async fn linked<'l>(
        &self,
        link: &'l mut Option<Result<Link, String>>,
    ) -> Result<&'l Link, String> {
        if link.is_none() {
            let opened = Link::open(&self.sftp).await;
            *link = Some(opened.map_err(|error: SendError| error.to_string()));
        }
        match link {
            Some(Ok(link)) => Ok(link),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("there is no connection".to_owned()),
        }
    }

    fn count_backlog(&self, log: &Log) {
        let log = log.lock();
        let waits = |it: &&Deposit| {
            matches!(
                it.status(),
                Status::Making | Status::Sending | Status::Failed
            )
        };
        let last = log.prefixes().filter_map(|key| log.recent(key).next_back());
        self.uplink
            .owes(Channel::Escrow, last.filter(waits).count() as u64);
    }
}

pub(super) fn count(entry: &Deposit, what: &'static str) {
    let kind = if entry.full { "full" } else { "diff" };
    metrics::counter!("idnode_escrow_deposits_total", "type" => kind, "status" => what)
        .increment(1);
}

pub(super) fn parsed(key: &[u8]) -> crate::Result<Prefix> {
    Prefix::from_key(key).map_err(|error| crate::Error::Storage(error.to_string()))
}

pub(super) async fn put(log: &Log, key: &Bytes, entry: &Deposit) -> Result<(), MakeError> {
    let (log, key, entry) = (log.clone(), key.clone(), entry.clone());
    blocking(move || Ok(log.lock().put(&key, &entry)?)).await
}

/// Runs what may block where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MakeError> + Send + 'static,
) -> Result<T, MakeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(MakeError::Ended))
}

//! Makes what is due, sends what lies ready, asks what has become of it. One deposit at a time, on
//! a thread that may block; nobody waits for it.

use super::directory_name;
use super::entry::{Deposit, DepositLog, Status};
use super::events::Events;
use super::make::{MakeError, Maker};
use super::schedule::{BACKOFF_MS, Due, Plan};
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

/// How long a receiver's verdict is asked for.
const RECEIPT_MS: u64 = 7 * 86_400_000;
/// Between two questions for it: as long as the deposit has been there, within these.
const RECEIPT_PAUSE_MS: (u64, u64) = (1_000, 3_600_000);

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
        self.wake.notify_one();
    }

    /// What is asked for of a prefix, until it is [done](Desk::done).
    fn asked(&self, prefix: &[u8]) -> Option<bool> {
        self.asked.lock().get(prefix).copied()
    }

    fn done(&self, prefix: &[u8]) {
        self.asked.lock().remove(prefix);
    }
}

/// The task.
#[derive(Debug)]
pub struct Escrow {
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    plan: Plan,
    maker: Arc<Maker>,
    sftp: SftpOptions,
    check: Duration,
    /// Verdicts that are waited for, and when they are asked for next.
    waiting: BTreeMap<(Bytes, u64), u64>,
}

impl Drop for Escrow {
    fn drop(&mut self) {
        self.maker.stopping.store(true, Ordering::Relaxed);
    }
}

type Log = Arc<Mutex<DepositLog>>;

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
            let mut waiting = BTreeMap::new();
            for key in log.prefixes() {
                let ready: Vec<&str> = log
                    .recent(key)
                    .filter(|it| it.status() == Status::Sending)
                    .map(|it| it.id.as_str())
                    .collect();
                maker.spool.tidy(&directory_name(&parsed(key)?), &ready)?;
                let sent = log.recent(key).filter(|it| it.status() == Status::Sent);
                waiting.extend(sent.map(|it| ((key.clone(), it.number), 0)));
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
        let (registered, known) = blocking(move || {
            let moment = registry.moment()?;
            let registered = moment
                .prefixes(&[], None)?
                .map(|record| Ok(record?.key))
                .collect::<crate::Result<BTreeSet<Bytes>>>()?;
            let known: BTreeSet<Bytes> = all.lock().prefixes().cloned().collect();
            Ok((registered, known))
        })
        .await?;
        let mut link = None;
        let mut events = Events::after(self.oldest_since(log, &registered));
        let mut trouble = None;
        for key in registered.union(&known) {
            let asked = self.uplink.desk().asked(key);
            let is_registered = registered.contains(key);
            let due = {
                let log = log.lock();
                self.plan
                    .due(log.recent(key), is_registered, asked, now_ms())
            };
            let ready = match due {
                Due::Nothing => continue,
                Due::Send(entry) => *entry,
                Due::Make(entry) => match self.make(log, key, *entry, &mut events).await {
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
        events: &mut Events,
    ) -> Result<Deposit, MakeError> {
        put(log, key, &begun).await?;
        self.uplink.desk().done(key);
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
                self.maker.spool.forget(&prefix, &entry.id)?;
                self.uplink.works(Channel::Escrow, now_ms());
                self.waiting.insert((key.clone(), entry.number), 0);
                if self.uplink.desk().asked(key).is_some() {
                    self.uplink.desk().wake.notify_one();
                }
                count(&entry, "sent");
                metrics::counter!("idnode_escrow_bytes_total").increment(entry.bytes);
                metrics::gauge!("idnode_escrow_last_deposit_seconds").set(now_ms() as f64 / 1e3);
            }
            Err(reason) => {
                tracing::warn!(reason, id = entry.id, "a deposit was not sent");
                self.uplink.fails(Channel::Escrow, &reason, now_ms());
                let is_whole = self.maker.spool.is_whole(&prefix, &entry.id);
                let mut entry = entry.after_failure(reason.clone(), now_ms(), BACKOFF_MS);
                if !is_whole {
                    // What lay ready is gone: it is made anew.
                    entry.set_status(Status::Failed);
                }
                put(log, key, &entry).await?;
                // What this connection is worth, the next deposit need not find out again.
                *link = Some(Err(reason));
            }
        }
        Ok(())
    }

    /// The connection of this round, or why there is none.
    async fn linked<'l>(
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

    /// Asks what has become of deposits.
    async fn ask_for_receipts(
        &mut self,
        log: &Log,
        link: &mut Option<Result<Link, String>>,
    ) -> Result<(), MakeError> {
        let now = now_ms();
        let waiting = self.waiting.iter().filter(|(_, at)| **at <= now);
        let wanted: Vec<(Bytes, u64)> = waiting.map(|(which, _)| which.clone()).collect();
        for which in wanted {
            let (key, number) = &which;
            let entry = log
                .lock()
                .recent(key)
                .find(|it| it.number == *number)
                .cloned();
            let age = entry
                .as_ref()
                .map_or(u64::MAX, |it| now.saturating_sub(it.ended_ms));
            let Some(entry) = entry.filter(|it| it.status() == Status::Sent && age < RECEIPT_MS)
            else {
                self.waiting.remove(&which);
                continue;
            };
            let pause = age.clamp(RECEIPT_PAUSE_MS.0, RECEIPT_PAUSE_MS.1);
            self.waiting.insert(which.clone(), now + pause);
            let prefix = directory_name(&parsed(key)?);
            let receipt = match self.linked(link).await {
                Err(reason) => Err(reason),
                Ok(link) => {
                    let receipt = link.receipt(&prefix, &entry.id).await;
                    receipt.map_err(|error| error.to_string())
                }
            };
            match receipt {
                Ok(None) => {}
                Ok(Some(receipt)) => {
                    self.waiting.remove(&which);
                    self.settle(log, key, entry, receipt).await?;
                }
                Err(reason) => {
                    self.uplink.fails(Channel::Escrow, &reason, now_ms());
                    *link = Some(Err(reason));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes the receiver's verdict down.
    async fn settle(
        &self,
        log: &Log,
        key: &Bytes,
        mut entry: Deposit,
        receipt: super::sftp::Receipt,
    ) -> Result<(), MakeError> {
        if receipt.accepted {
            entry.set_status(Status::Accepted);
            count(&entry, "accepted");
        } else {
            tracing::error!(prefix = %parsed(key)?, id = entry.id, reason = receipt.reason,
                "a deposit was refused");
            // The next one is made at once if this is the first, later if it goes on like this.
            let refused = {
                let log = log.lock();
                let before = log
                    .recent(key)
                    .rev()
                    .skip_while(|it| it.number >= entry.number);
                before
                    .take_while(|it| it.status() == Status::Refused)
                    .count()
            };
            let (least_ms, most_ms) = BACKOFF_MS;
            let pause = match refused {
                0 => 0,
                many => (least_ms << many.min(20)).min(most_ms),
            };
            entry.next_try_ms = now_ms() + pause;
            entry.reason = receipt.reason;
            entry.set_status(Status::Refused);
            count(&entry, "refused");
            self.uplink.desk().wake.notify_one();
        }
        put(log, key, &entry).await
    }

    /// The pause until a verdict is to be asked for.
    fn next_question(&self) -> Duration {
        let next = self.waiting.values().min();
        next.map_or(self.check, |at| {
            Duration::from_millis(at.saturating_sub(now_ms()).max(200))
        })
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

fn count(entry: &Deposit, what: &'static str) {
    let kind = if entry.full { "full" } else { "diff" };
    metrics::counter!("idnode_escrow_deposits_total", "type" => kind, "status" => what)
        .increment(1);
}

fn parsed(key: &[u8]) -> crate::Result<Prefix> {
    Prefix::from_key(key).map_err(|error| crate::Error::Storage(error.to_string()))
}

async fn put(log: &Log, key: &Bytes, entry: &Deposit) -> Result<(), MakeError> {
    let (log, key, entry) = (log.clone(), key.clone(), entry.clone());
    blocking(move || Ok(log.lock().put(&key, &entry)?)).await
}

/// Runs what may block where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MakeError> + Send + 'static,
) -> Result<T, MakeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(MakeError::Ended))
}

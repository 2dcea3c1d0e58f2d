//! The writer thread: takes what waits, commits it as one group, acknowledges.

use super::idempotency::{self, Idempotency};
use super::known::Known;
use super::txn::Overlay;
use super::{Command, Held, Outcome, Receipt, Txn};
use crate::administrator::holds;
use crate::change::{Change, LogEntry, PrefixChange};
use crate::layout::Family;
use crate::log::ChangeLog;
use crate::name_table::NameTable;
use crate::prefix_table::PrefixTable;
use crate::registry::CommitObserver;
use crate::store::Store;
use crate::valid::Valid;
use crate::{Caller, Error, Result, Sequence, now_ms, unknown_credential};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// Most bytes of one group, about: what stays in a core's cache from the first command's check to
/// the last row's write, and leaves of a bulk load's chunks some to be checked meanwhile.
const MAX_GROUP_BYTES: usize = 1 << 20;
/// Most idempotency records one pruning looks at.
pub(crate) const PRUNE_ROWS: usize = 10_000;

/// A command on its way to the writer.
struct Request {
    caller: Caller,
    idempotency: Option<Idempotency>,
    command: Command,
    origin: Origin,
    reply: Reply,
}

/// Where a command's answer goes.
type Reply = oneshot::Sender<Result<Receipt>>;

/// On whose behalf a command is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The node's clients', or its own.
    Here,
    /// The national node's, which may register in what it has taken over.
    Above,
}

/// Where commands are handed in.
#[derive(Debug, Clone)]
pub(crate) struct WriterHandle {
    requests: mpsc::Sender<Request>,
}

impl WriterHandle {
    /// Hands a command in and waits until it is durable or refused.
    pub async fn write(
        &self,
        caller: Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Receipt> {
        let submitted = self.submit(caller, idempotency, command, origin).await?;
        submitted.receipt().await
    }

    /// Hands a command in, behind all that were handed in before.
    pub async fn submit(
        &self,
        caller: Caller,
        idempotency: Option<Idempotency>,
        command: Command,
        origin: Origin,
    ) -> Result<Submitted> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            caller,
            idempotency,
            command,
            origin,
            reply,
        };
        self.requests.send(request).await.map_err(|_| closed())?;
        Ok(Submitted { answer })
    }
}

/// A command that the writer has.
#[derive(Debug)]
pub(crate) struct Submitted {
    answer: oneshot::Receiver<Result<Receipt>>,
}

impl Submitted {
    /// When it is durable, or refused.
    pub async fn receipt(self) -> Result<Receipt> {
        self.answer.await.map_err(|_| closed())?
    }
}

/// What there is to say to clients; the rest is the operator's to know.
fn log_failed() -> Error {
    Error::Unavailable("the log has failed; restart the node".into())
}

fn closed() -> Error {
    Error::Unavailable("the node is shutting down".into())
}

/// The only writer of a registry.
pub(crate) struct Writer {
    pub store: Arc<Store>,
    pub log: Arc<dyn ChangeLog>,
    pub prefixes: Arc<PrefixTable>,
    pub names: Arc<NameTable>,
    pub observer: Arc<dyn CommitObserver>,
    pub applied: watch::Sender<Sequence>,
    pub poisoned: Arc<AtomicBool>,
    pub group_commit_max: usize,
    pub idempotency_retention_ms: u64,
    /// The key of the idempotency record that the next pruning begins at.
    pub prune_next: Mutex<Vec<u8>>,
    /// What the national node has taken over.
    pub held: Arc<ArcSwapOption<Held>>,
    /// Credentials that were found valid.
    pub valid: Arc<Valid>,
}

/// Says that nothing is written any more when its thread ends otherwise than it should.
struct ToldIfPanicked(Arc<AtomicBool>);

impl Drop for ToldIfPanicked {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl Writer {
    /// Starts the thread. It ends when every handle is gone and the queue is empty.
    pub fn start(self, queue: usize) -> Result<(WriterHandle, std::thread::JoinHandle<()>)> {
        let (requests, inbox) = mpsc::channel(queue);
        let thread = std::thread::Builder::new()
            .name("registry-writer".into())
            .spawn(move || {
                let _told = ToldIfPanicked(self.poisoned.clone());
                self.run(inbox);
            })
            .map_err(|e| Error::Storage(format!("no writer thread: {e}")))?;
        Ok((WriterHandle { requests }, thread))
    }

    fn run(self, mut inbox: mpsc::Receiver<Request>) {
        let mut clock_ms = 0;
        let (known, mut overlay) = (Known::default(), Overlay::default());
        while let Some(first) = inbox.blocking_recv() {
            let mut weight = first.command.weight();
            let mut group = vec![first];
            while group.len() < self.group_commit_max && weight < MAX_GROUP_BYTES {
                let Ok(next) = inbox.try_recv() else { break };
                weight += next.command.weight();
                group.push(next);
            }
            clock_ms = now_ms().max(clock_ms);
            self.commit(group, clock_ms, &known, &mut overlay);
        }
    }

    /// Executes a group, makes it durable, tells the followers, then answers.
    fn commit(&self, group: Vec<Request>, now_ms: u64, known: &Known, overlay: &mut Overlay) {
        // Whether the failed group is in the log is unknown until the log is opened again: the
        // state that a further command would be checked against is not known either.
        if self.poisoned.load(Ordering::Acquire) {
            return refuse_all(group, &log_failed());
        }
        let head = match self.log.head() {
            Ok(head) => head,
            Err(error) => return refuse_all(group, &error),
        };
        let room = std::mem::take(overlay);
        let mut txn = Txn::new(&self.store, &self.prefixes, known, head, now_ms, room);
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            let done = self.execute(&mut txn, &request);
            match done {
                Ok(_) => txn.keep(),
                Err(_) => txn.roll_back(),
            }
            answers.push((request.reply, done));
        }
        let (entries, mutations, room) = txn.finish();
        *overlay = room;
        known.follow(&mutations);
        if !mutations.is_empty()
            && let Err(error) = self.log.append(head, &entries, mutations)
        {
            // First, for whatever becomes of the rest.
            self.poisoned.store(true, Ordering::Release);
            tracing::error!(%error, head, "commit failed");
            let error = log_failed();
            return answer_all(answers.into_iter().map(|(to, _)| (to, Err(error.clone()))));
        }
        let accepted = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
        metrics::histogram!("idnode_commit_group_size").record(accepted as f64);
        self.publish(&entries, head);
        // Refusals too only now: what a command was refused for may have been written beside it.
        answer_all(answers);
    }

    /// Lets everything in this process see a durable group, before it is acknowledged.
    fn publish(&self, entries: &[LogEntry], head: Sequence) {
        for entry in entries {
            match &entry.change {
                Some(Change::Prefix(PrefixChange {
                    record, removed, ..
                })) => {
                    match removed {
                        true => self.prefixes.remove(&record.key),
                        false => self.prefixes.put(record.clone()),
                    }
                    // Whose a handle is says its prefix.
                    self.valid.changed();
                }
                Some(Change::Enterprise(enterprise)) => self.names.put(enterprise),
                Some(Change::Credential(_)) => self.valid.changed(),
                _ => {}
            }
        }
        self.observer.committed(entries);
        let now = head + entries.len() as u64;
        // A group of refused commands moves nothing, and wakes nobody.
        self.applied
            .send_if_modified(|applied| std::mem::replace(applied, now) != now);
    }

    fn execute(&self, txn: &mut Txn<'_>, request: &Request) -> Result<Receipt> {
        let Request {
            caller,
            idempotency,
            command,
            origin,
            ..
        } = request;
        require_unrevoked(txn, caller)?;
        if let Some(idempotency) = idempotency
            && let Some(first) =
                idempotency::recall(txn, caller, idempotency, self.idempotency_retention_ms)?
        {
            return Ok(Receipt {
                sequence: first.sequence,
                committed_at_ms: first.committed_at_ms,
                replayed: true,
                outcome: command.recalled(txn, caller, &first)?,
            });
        }
        // Not before: what was acknowledged stays acknowledged.
        txn.keep_out_of(match origin {
            Origin::Here => self.held.load_full(),
            Origin::Above => None,
        });
        command.require_here(txn)?;
        let before = txn.next_sequence();
        let outcome = match command {
            Command::Prune => self.prune(txn)?,
            Command::Hold(held) if *origin == Origin::Above => {
                self.held.store(held.clone().map(Arc::new));
                Outcome::Done
            }
            _ => command.execute(txn, caller)?,
        };
        let logged = txn.next_sequence() > before;
        let receipt = Receipt {
            sequence: if logged { before } else { 0 },
            committed_at_ms: txn.now_ms(),
            replayed: false,
            outcome,
        };
        if let Some(idempotency) = idempotency {
            idempotency::remember(txn, caller, idempotency, &receipt);
        }
        Ok(receipt)
    }

    /// Looks at the idempotency records from where the last run ended.
    fn prune(&self, txn: &mut Txn<'_>) -> Result<Outcome> {
        let oldest = txn.now_ms().saturating_sub(self.idempotency_retention_ms);
        let view = self.store.snapshot();
        let mut next = self.prune_next.lock();
        let (mut looked_at, mut last) = (0, Bytes::new());
        for row in view
            .scan(Family::Idempotency, &next, None)?
            .take(PRUNE_ROWS)
        {
            let (key, stored) = row?;
            looked_at += 1;
            last = key.clone();
            // What this group has written is younger than what the view shows.
            if txn.written(Family::Idempotency, &key).is_some() {
                continue;
            }
            let remembered: idempotency::Remembered = crate::layout::decode_value(&stored)?;
            if remembered.committed_at_ms <= oldest {
                txn.set(Family::Idempotency, key, None);
            }
        }
        if looked_at < PRUNE_ROWS {
            next.clear();
            return Ok(Outcome::Done);
        }
        *next = [&last[..], &[0]].concat();
        Ok(Outcome::Unfinished)
    }
}

/// Err if the caller's credential has been revoked since it was shown, or proves nothing any more. What an
/// administrator may do is asked for anew with every command anyway; the node's own caller has no
/// credential.
fn require_unrevoked(txn: &Txn<'_>, caller: &Caller) -> Result<()> {
    let (Caller::Operator { credential } | Caller::Enterprise { credential, .. }) = caller else {
        return Ok(());
    };
    match txn.credential(credential)? {
        Some(found) if !holds(txn, &found)? => Err(unknown_credential()),
        _ => Ok(()),
    }
}

fn refuse_all(group: Vec<Request>, error: &Error) {
    answer_all(group.into_iter().map(|it| (it.reply, Err(error.clone()))));
}

/// Nobody may be waiting any more: a caller's deadline may have passed.
fn answer_all(answers: impl IntoIterator<Item = (Reply, Result<Receipt>)>) {
    for (reply, answer) in answers {
        let _ = reply.send(answer);
    }
}

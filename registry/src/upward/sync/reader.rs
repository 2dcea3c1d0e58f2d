//! The thread that reads the log, or the state, and makes messages of it: behind all others where
//! there is not enough of the processor, and only as far ahead as the window lets it.

use super::batch::{BATCH_BYTES, Batches, mark};
use super::pace::Pace;
use super::rows::Scope;
use super::snapshot;
use super::window::Window;
use super::wire::Told;
use crate::background;
use crate::change::{IdentifierChange, LogEntry};
use crate::layout::{Family, index_key};
use crate::record::Record;
use crate::{Error, Registry, Result, Sequence};
use bytes::Bytes;
use idnode_proto::api::IntakeStart;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Most entries that are read at once.
const ENTRIES: usize = 8_192;
/// How long news are gathered after a batch that was not full: each batch is a transaction there.
const GATHER: Duration = Duration::from_millis(20);

/// What is to be told, from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begin {
    /// Entries from here on.
    Entries(Sequence),
    /// A snapshot behind this place, then entries behind `sequence`. Of a new one the start first.
    Snapshot {
        start: Option<IntakeStart>,
        sequence: Sequence,
        after: Bytes,
    },
    /// Everything from entry 1 on, in place of what is there.
    LogAnew(IntakeStart),
}

/// What reads.
pub(super) struct Reader {
    pub(super) registry: Arc<Registry>,
    pub(super) scope: Arc<Scope>,
    pub(super) window: Arc<Window>,
    pub(super) out: mpsc::Sender<Told>,
    pub(super) pace: Pace,
    /// How many changes it may tell a second, at the moment; 0: any number.
    pub(super) per_s: Arc<AtomicU32>,
    pub(super) runtime: Handle,
    /// Cancelled: the stream is over.
    pub(super) over: CancellationToken,
}

/// The stream is over: nobody takes messages any more.
struct Over;

impl Reader {
    /// Starts the thread, one of `threads`; it ends when the stream is over. Why it ended otherwise
    /// goes to `failed`.
    pub(super) fn start(
        mut self,
        begin: Begin,
        failed: mpsc::Sender<String>,
        threads: &TaskTracker,
    ) -> Result<()> {
        let is_one = threads.token();
        let work = move || {
            // Without it the thread is as urgent as others; that is no reason to tell nothing.
            if let Err(error) = background::enter() {
                tracing::debug!(%error, "the uplink's thread is as urgent as others");
            }
            if let Err(error) = self.run(begin) {
                // Nobody listens: the stream has ended anyway.
                let _ = failed.try_send(error.to_string());
            }
            // Whoever waits for the threads closes the registry next, and then the process ends.
            drop(self);
            drop(is_one);
        };
        let thread = std::thread::Builder::new().name("upward-sync".to_owned());
        let started = thread.spawn(work);
        started.map_err(|error| Error::Unavailable(format!("no thread: {error}")))?;
        Ok(())
    }

    fn run(&mut self, begin: Begin) -> Result<()> {
        let from = match begin {
            Begin::Entries(from) => from,
            Begin::LogAnew(start) => match self.send(Told::start(start), 0) {
                Ok(()) => 1,
                Err(Over) => return Ok(()),
            },
            Begin::Snapshot {
                start,
                sequence,
                after,
            } => match self.snapshot(start, sequence, after)? {
                Ok(()) => sequence + 1,
                Err(Over) => return Ok(()),
            },
        };
        self.entries(from)
    }

    /// Tells the state behind a place.
    fn snapshot(
        &mut self,
        start: Option<IntakeStart>,
        sequence: Sequence,
        mut after: Bytes,
    ) -> Result<std::result::Result<(), Over>> {
        if let Some(start) = start
            && self.send(Told::start(start), 0).is_err()
        {
            return Ok(Err(Over));
        }
        loop {
            let part = snapshot::part_after(&self.registry, &self.scope, &after)?;
            let is_last = part.last;
            after = Bytes::copy_from_slice(&part.reached);
            let told = if is_last { sequence } else { 0 };
            let rows = part.identifiers.len();
            if self.send(Told::part(part), told).is_err() {
                return Ok(Err(Over));
            }
            if self.keep_pace(rows).is_err() {
                return Ok(Err(Over));
            }
            if is_last {
                return Ok(Ok(()));
            }
        }
    }

    /// Tells entries from one on, and those to come.
    fn entries(&mut self, mut next: Sequence) -> Result<()> {
        let mut applied = self.registry.watch_applied();
        loop {
            let news = applied.wait_for(|applied| *applied >= next);
            if !matches!(self.unless_over(async { news.await.is_ok() }), Ok(true)) {
                return Ok(());
            }
            let entries = self.registry.read_log(next, ENTRIES, BATCH_BYTES)?;
            let mut batches = Batches::from(next, &self.scope, |change: &IdentifierChange| {
                replaced_live(&self.registry, change)
            });
            let few = entries.len() < ENTRIES / 8;
            for entry in entries {
                next = entry.sequence + 1;
                batches.add(entry)?;
            }
            let batches = batches.finish();
            let is_small = few && batches.iter().all(|it| it.encoded.len() < BATCH_BYTES / 8);
            for batch in batches {
                if self.send(Told::batch(batch.encoded), batch.told).is_err() {
                    return Ok(());
                }
                if self.keep_pace(batch.changes).is_err() {
                    return Ok(());
                }
            }
            if is_small {
                std::thread::sleep(GATHER);
            }
        }
    }

    /// Waits as long as so many changes may take, or until the stream is over: at a slow pace that is
    /// long, and the next stream has a thread of its own.
    fn keep_pace(&mut self, changes: usize) -> std::result::Result<(), Over> {
        let per_s = self.per_s.load(Ordering::Relaxed);
        let wait = self.pace.wait_after(changes, per_s, Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        self.unless_over(async { tokio::time::sleep(wait).await })
    }

    /// Sends a message when there is a place for it.
    fn send(&self, message: Told, told: Sequence) -> std::result::Result<(), Over> {
        self.unless_over(self.window.place())?;
        self.window.takes(told);
        let sent = self.unless_over(self.out.send(message))?;
        sent.map_err(|_| Over)
    }

    /// Waits for something, or until the stream is over.
    fn unless_over<T>(&self, awaited: impl Future<Output = T>) -> std::result::Result<T, Over> {
        self.runtime.block_on(async {
            tokio::select! {
                it = awaited => Ok(it),
                () = self.over.cancelled() => Err(Over),
                () = self.out.closed() => Err(Over),
            }
        })
    }
}

/// Whether the record that a change replaced was live, as far as that is still known.
fn replaced_live(registry: &Registry, change: &IdentifierChange) -> Result<bool> {
    let Some(version) = change.replaced else {
        return Ok(false);
    };
    let key = index_key(version, &change.key);
    let replaced = registry.store().get(Family::Superseded, &key)?;
    let replaced = replaced.map(Record::decode).transpose()?;
    Ok(replaced.is_some_and(|it| it.is_live()))
}

/// An entry that is kept, perhaps without its identifiers' records. Blocks on the disk.
pub(super) fn entry(registry: &Registry, sequence: Sequence) -> Result<Option<LogEntry>> {
    let view = registry.store().snapshot();
    match registry.log().read_in(&view, sequence, 1, 1) {
        Ok(entries) => Ok(entries.into_iter().next()),
        Err(Error::Bound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The mark of an entry that is kept. Blocks on the disk.
pub(super) fn mark_of(registry: &Registry, sequence: Sequence) -> Result<Option<u64>> {
    Ok(entry(registry, sequence)?.as_ref().map(mark))
}

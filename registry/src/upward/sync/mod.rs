//! The stream of changes upward: templates, enterprises, prefixes and identifiers' master data, from
//! the change log, in its order; each change counts once at the national node.
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | what is told next: pure |
//! | [`rows`] | what of the registry's objects is told |
//! | [`batch`] | entries of the log as batches |
//! | [`snapshot`] | the state in parts, where the log reaches back no more |
//! | `pace` | how fast a backlog is told: pure |
//! | `demand` | how much the node is asked, and the pace by that: pure |
//! | [`state`] | what the journal keeps of it |
//! | `window` | what is on its way |
//! | `reader` | the thread that reads the log |
//! | `link` | one stream, from hello to its end |
//! | `wire` | its messages |

pub mod batch;
mod demand;
mod link;
mod pace;
pub mod plan;
mod reader;
pub mod rows;
pub mod snapshot;
pub mod state;
#[cfg(test)]
mod tests;
mod window;
mod wire;

use super::stream::{Line, StreamOptions, keep_talking};
use super::{Channel, Uplink};
use crate::{Registry, Result, Sequence};
use demand::{Counted, Demand};
use idnode_proto::identifier::Prefix;
pub use pace::Paces;
use parking_lot::{Mutex, MutexGuard};
use rows::Scope;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The name of the stream's cursor in the journal.
pub const CURSOR: &str = "sync";

/// How often it is looked what is owed, for people and metrics.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked how much the node is asked.
const DEMAND: Duration = Duration::from_millis(250);

/// The stream of a node.
struct Teller {
    registry: Arc<Registry>,
    node: String,
    prefixes: Vec<Prefix>,
    scope: Arc<Scope>,
    timeout: Duration,
    /// Most changes a second, at the moment; 0: any number.
    per_s: Arc<AtomicU32>,
    restart: Arc<Restart>,
    progress: Progress,
    /// The threads that read.
    threads: TaskTracker,
}

/// How the operator lets the stream begin anew.
#[derive(Debug, Default)]
pub struct Restart {
    /// Restarts until now.
    times: watch::Sender<u64>,
    /// Who has it reads or writes the journal's row of the stream.
    row: Mutex<()>,
}

impl Restart {
    fn watch(&self) -> watch::Receiver<u64> {
        self.times.subscribe()
    }

    fn row(&self) -> MutexGuard<'_, ()> {
        self.row.lock()
    }
}

/// How far the log was told.
#[derive(Debug, Default)]
struct Progress {
    told: AtomicU64,
    kept: AtomicU64,
}

impl Progress {
    fn moved(&self, told: Sequence) {
        self.told.store(told, Ordering::Relaxed);
    }

    fn told(&self) -> Sequence {
        self.told.load(Ordering::Relaxed)
    }

    fn kept(&self, told: Sequence) {
        self.kept.store(told, Ordering::Relaxed);
    }

    fn is_unkept(&self) -> bool {
        self.told() != self.kept.load(Ordering::Relaxed)
    }
}

/// Tells changes until `shutdown`, a backlog at its pace. It waits for nobody and nobody waits for it.
pub async fn run(
    registry: Arc<Registry>,
    uplink: Arc<Uplink>,
    options: StreamOptions,
    paces: Paces,
    shutdown: CancellationToken,
) {
    let sync = Arc::new(Teller {
        registry,
        node: options.node.clone(),
        prefixes: options.prefixes.clone(),
        scope: Arc::new(Scope::below(options.prefixes.clone())),
        timeout: options.channel.timeout,
        per_s: Arc::new(paces.per_s.into()),
        restart: uplink.restart_of_changes(),
        progress: Progress::default(),
        threads: TaskTracker::new(),
    });
    let journal = sync.registry.journal();
    if let Ok(Ok(told)) = tokio::task::spawn_blocking(move || journal.cursor(CURSOR)).await {
        sync.progress.moved(told);
        sync.progress.kept(told);
    }
    let talk = |connection, line| sync.clone().talk(connection, line);
    let talking = keep_talking(uplink.clone(), Channel::Sync, &options, &shutdown, talk);
    tokio::select! {
        () = talking => {}
        () = sync.watch(&uplink) => {}
        () = sync.follow_demand(paces) => {}
    }
    sync.threads.close();
    sync.threads.wait().await;
}

/// Gives the log a new name and ends the stream: the next one replaces what the national node has.
/// Blocks on the disk.
///
/// # Errors
/// The store fails.
pub fn restart(uplink: &Uplink) -> Result<()> {
    let restart = uplink.restart_of_changes();
    let row = restart.row();
    state::State::rename(uplink.journal())?;
    drop(row);
    restart.times.send_modify(|times| *times += 1);
    Ok(())
}

impl Teller {
    /// Goes slower while the node is asked much.
    async fn follow_demand(&self, paces: Paces) {
        let mut demand = Demand::new(paces);
        loop {
            let per_s = demand.pace(Counted {
                at: Instant::now(),
                resolutions: self.registry.prefixes().queries(),
                head: self.registry.applied(),
            });
            self.per_s.store(per_s, Ordering::Relaxed);
            tokio::time::sleep(DEMAND).await;
        }
    }

    /// Says what is owed.
    async fn watch(&self, uplink: &Uplink) {
        let mut last = None;
        loop {
            let (told, head) = (self.progress.told(), self.registry.applied());
            // While much is told, the oldest entry owed is another one each time.
            if last != Some((told, head)) {
                last = Some((told, head));
                let registry = self.registry.clone();
                let oldest = tokio::task::spawn_blocking(move || match told < head {
                    true => reader::entry(&registry, told + 1).ok().flatten(),
                    false => None,
                });
                let since_ms = match oldest.await {
                    Ok(Some(entry)) => entry.committed_at_ms,
                    _ => 0,
                };
                uplink.owes_since(Channel::Sync, head.saturating_sub(told), since_ms);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

//! A registry whose log appends in another way: fails, or waits.

use crate::change::LogEntry;
use crate::log::local::LocalLog;
use crate::log::{AppendError, ChangeLog};
use crate::store::{Mutation, Store, StoreOptions, View};
use crate::{CommitObserver, Error, Options, Registry, Sequence};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

/// How an [`AlteredLog`] appends.
pub type Append = dyn Fn(&LocalLog, Sequence, &[LogEntry], Vec<Mutation>) -> Result<(), AppendError>
    + Send
    + Sync;

/// A log that appends in another way than the local one below it.
struct AlteredLog {
    log: LocalLog,
    append: Box<Append>,
}

/// The registry in a directory, appending in another way.
pub fn open_altered(
    dir: &Path,
    append: Box<Append>,
    observer: Arc<dyn CommitObserver>,
) -> Registry {
    let store = Arc::new(Store::open(dir, &StoreOptions::default()).unwrap());
    let log = LocalLog::open(store.clone()).unwrap();
    let log = Arc::new(AlteredLog { log, append });
    Registry::over(store, log, &Options::default(), observer).unwrap()
}

impl ChangeLog for AlteredLog {
    fn head(&self) -> Result<Sequence, Error> {
        self.log.head()
    }

    fn oldest(&self) -> Result<Sequence, Error> {
        self.log.oldest()
    }

    fn append(
        &self,
        expected_head: Sequence,
        entries: &[LogEntry],
        mutations: Vec<Mutation>,
    ) -> Result<(), AppendError> {
        (self.append)(&self.log, expected_head, entries, mutations)
    }

    fn read(
        &self,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        self.log.read(from, max_entries, max_bytes)
    }

    fn head_in(&self, view: &View<'_>) -> Result<Sequence, Error> {
        self.log.head_in(view)
    }

    fn read_in(
        &self,
        view: &View<'_>,
        from: Sequence,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        self.log.read_in(view, from, max_entries, max_bytes)
    }

    fn trim(&self, before: Sequence) -> Result<(), Error> {
        self.log.trim(before)
    }
}

/// What appends have to pass.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    is_shut: bool,
    /// Somebody waits before it.
    is_awaited: bool,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The registry in a directory, whose appends pass this gate.
    pub fn open(self: &Arc<Self>, dir: &Path) -> Registry {
        let gate = self.clone();
        let append: Box<Append> = Box::new(move |log, head, entries, mutations| {
            gate.pass();
            log.append(head, entries, mutations)
        });
        open_altered(dir, append, Arc::new(()))
    }

    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_awaited = state.is_shut;
        self.changed.notify_all();
        while state.is_shut {
            state = self.changed.wait(state).unwrap();
        }
        state.is_awaited = false;
    }

    pub fn shut(&self) {
        self.state.lock().unwrap().is_shut = true;
    }

    /// Until an append waits before the shut gate.
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.is_awaited {
            state = self.changed.wait(state).unwrap();
        }
    }

    pub fn release(&self) {
        self.state.lock().unwrap().is_shut = false;
        self.changed.notify_all();
    }
}

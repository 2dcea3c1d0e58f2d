//! Sessions: a key that only node and client have, by which messages are encrypted or signed, and
//! who the client is that has it.

use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_registry::Caller;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sessions at once.
const MOST: usize = 2_048;
/// Messages of one session: the number of each is remembered. Clients in the field number their
/// requests in no order, so that no window tells what is new.
const MOST_MESSAGES: usize = 16_384;
/// How long a session may be silent, unless its client asks for less.
const IDLE: Duration = Duration::from_secs(600);

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: SessionKey,
    pub(super) caller: Caller,
    pub(super) identity: Option<AdminId>,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// Request ids.
    seen: HashSet<u32>,
}

impl Session {
    pub(super) fn new(
        key: SessionKey,
        caller: Caller,
        identity: Option<AdminId>,
        wanted_s: Option<u32>,
    ) -> Self {
        let wanted = wanted_s.map_or(IDLE, |s| Duration::from_secs(s.into()));
        Self {
            key,
            caller,
            identity,
            idle: wanted.min(IDLE),
            state: Mutex::new(State {
                used: Instant::now(),
                seen: HashSet::new(),
            }),
        }
    }

    /// Whether a message of this number may be taken: each once, so that nobody can send again
    /// what a client has sent.
    pub(super) fn accepts(&self, request_id: u32) -> bool {
        let mut state = self.state.lock();
        let is_new = state.seen.insert(request_id);
        if is_new {
            state.used = Instant::now();
        }
        is_new
    }

    fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.used.elapsed() > self.idle || state.seen.len() >= MOST_MESSAGES
    }
}

/// Sessions by their ids.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<u32, Arc<Session>>>,
}

impl Sessions {
    /// Opens a session under a new id; `None`: there are as many as there may be.
    pub(super) fn open(&self, session: Session) -> Option<u32> {
        let mut open = self.open.lock();
        if open.len() >= MOST {
            open.retain(|_, session| !session.is_over());
        }
        if open.len() >= MOST {
            return None;
        }
        loop {
            let id = getrandom::u32().ok()?;
            if id != 0 && !open.contains_key(&id) {
                open.insert(id, Arc::new(session));
                return Some(id);
            }
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<Arc<Session>> {
        let mut open = self.open.lock();
        let session = open.get(&id)?.clone();
        if session.is_over() {
            open.remove(&id);
            return None;
        }
        Some(session)
    }

    pub(super) fn close(&self, id: u32) {
        self.open.lock().remove(&id);
    }
}

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
/// Messages of one session that cannot be opened: it ends at these. Encryption alone does not show
/// who wrote, and from whether many altered messages can be opened somebody could learn what was in
/// them.
const MOST_UNOPENED: u32 = 8;
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
    unopened: u32,
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
                unopened: 0,
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

    /// Counts a message that is not this session's, or altered.
    pub(super) fn could_not_open(&self) {
        self.state.lock().unopened += 1;
    }

    fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.used.elapsed() > self.idle
            || state.seen.len() >= MOST_MESSAGES
            || state.unopened >= MOST_UNOPENED
    }

    /// When it was opened, if it has not been used since.
    fn unused_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        state.seen.is_empty().then_some(state.used)
    }
}

/// Sessions by their ids.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<u32, Arc<Session>>>,
}

impl Sessions {
    /// Opens a session under a new id; `None`: there are as many as there may be, and all of them
    /// are used. Anybody can ask for one, but only who can read its key can use it: the oldest one
    /// that nobody has used makes room.
    pub(super) fn open(&self, session: Session) -> Option<u32> {
        let mut open = self.open.lock();
        if open.len() >= MOST {
            open.retain(|_, session| !session.is_over());
        }
        if open.len() >= MOST {
            let unused = open
                .iter()
                .filter_map(|(id, it)| Some((it.unused_since()?, *id)));
            let (_, oldest) = unused.min()?;
            open.remove(&oldest);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn session() -> Session {
        Session::new(SessionKey::Aes128([7; 16]), Caller::Stranger, None, None)
    }

    #[test]
    fn sessions_nobody_uses_make_room_and_used_ones_stay() {
        let sessions = Sessions::default();
        let first = sessions.open(session()).unwrap();
        assert!(sessions.get(first).unwrap().accepts(1));
        let second = sessions.open(session()).unwrap();
        for _ in 2..=MOST {
            sessions.open(session()).unwrap();
        }
        assert!(sessions.get(first).is_some(), "it is used");
        assert!(sessions.get(second).is_none(), "the oldest that is not");
        assert_eq!(sessions.open.lock().len(), MOST);
    }

    #[test]
    fn a_session_takes_each_number_once_and_few_altered_messages() {
        let sessions = Sessions::default();
        let id = sessions.open(session()).unwrap();
        let session = sessions.get(id).unwrap();
        assert!(session.accepts(5) && session.accepts(3) && !session.accepts(5));
        for _ in 0..MOST_UNOPENED {
            assert!(sessions.get(id).is_some());
            session.could_not_open();
        }
        assert!(sessions.get(id).is_none());
    }
}

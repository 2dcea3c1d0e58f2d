//! Sessions: a key that only node and client have, by which messages are encrypted or signed, and
//! who the client is that has it.

use idnode_proto::handle::ResponseCode;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_registry::Caller;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
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

/// What is agreed on in a session.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) key: SessionKey,
    /// Who has the key.
    pub(super) caller: Caller,
    pub(super) identity: Option<AdminId>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    /// Not there before the client has sent its key.
    agreed: OnceLock<Agreed>,
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

/// Why there is no session of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSession {
    /// It has been silent for too long.
    TimedOut,
    /// There is none, or it has ended otherwise.
    Unknown,
    /// Its key has not been exchanged yet.
    NoKey,
}

impl NoSession {
    /// The code and the text to answer with.
    pub(super) fn told(self) -> (ResponseCode, &'static str) {
        match self {
            Self::TimedOut => (
                ResponseCode::SESSION_TIMEOUT,
                "the session has been silent for too long",
            ),
            Self::Unknown => (
                ResponseCode::SESSION_FAILED,
                "there is no such session, or it has ended",
            ),
            Self::NoKey => (
                ResponseCode::NO_SESSION_KEY,
                "the session has no key yet: it is sent by operation 402",
            ),
        }
    }
}

impl Session {
    /// `None`: the client has yet to send a key.
    pub(super) fn new(agreed: Option<Agreed>, wanted_s: Option<u32>) -> Self {
        let wanted = wanted_s.map_or(IDLE, |s| Duration::from_secs(s.into()));
        Self {
            agreed: agreed.map_or_else(OnceLock::new, OnceLock::from),
            idle: wanted.min(IDLE),
            state: Mutex::new(State {
                used: Instant::now(),
                seen: HashSet::new(),
                unopened: 0,
            }),
        }
    }

    /// Its key and whose it is, once there is one.
    pub(super) fn agreed(&self) -> Result<&Agreed, NoSession> {
        self.agreed.get().ok_or(NoSession::NoKey)
    }

    /// Takes the key that a client has sent; `false`: it has one already.
    pub(super) fn agree(&self, agreed: Agreed) -> bool {
        self.agreed.set(agreed).is_ok()
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

    fn timed_out(&self) -> bool {
        self.state.lock().used.elapsed() > self.idle
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

    /// The session of an id. That it has timed out is known until others need its place.
    pub(super) fn get(&self, id: u32) -> Result<Arc<Session>, NoSession> {
        let mut open = self.open.lock();
        let session = open.get(&id).ok_or(NoSession::Unknown)?.clone();
        if session.timed_out() {
            return Err(NoSession::TimedOut);
        }
        if session.is_over() {
            open.remove(&id);
            return Err(NoSession::Unknown);
        }
        Ok(session)
    }

    pub(super) fn close(&self, id: u32) {
        self.open.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn agreed() -> Agreed {
        Agreed {
            key: SessionKey::Aes128([7; 16]),
            caller: Caller::Stranger,
            identity: None,
        }
    }

    fn session() -> Session {
        Session::new(Some(agreed()), None)
    }

    #[test]
    fn a_session_has_the_first_key_it_is_sent() {
        let session = Session::new(None, None);
        assert_eq!(session.agreed().unwrap_err(), NoSession::NoKey);
        assert!(session.agree(agreed()));
        assert!(session.agreed().is_ok() && !session.agree(agreed()));
    }

    #[test]
    fn a_silent_session_times_out() {
        let sessions = Sessions::default();
        let id = sessions
            .open(Session::new(Some(agreed()), Some(0)))
            .unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(sessions.get(id).unwrap_err(), NoSession::TimedOut);
        sessions.close(id);
        assert_eq!(sessions.get(id).unwrap_err(), NoSession::Unknown);
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
        assert!(sessions.get(first).is_ok(), "it is used");
        assert!(sessions.get(second).is_err(), "the oldest that is not");
        assert_eq!(sessions.open.lock().len(), MOST);
    }

    #[test]
    fn a_session_takes_each_number_once_and_few_altered_messages() {
        let sessions = Sessions::default();
        let id = sessions.open(session()).unwrap();
        let session = sessions.get(id).unwrap();
        assert!(session.accepts(5) && session.accepts(3) && !session.accepts(5));
        for _ in 0..MOST_UNOPENED {
            assert!(sessions.get(id).is_ok());
            session.could_not_open();
        }
        assert_eq!(sessions.get(id).unwrap_err(), NoSession::Unknown);
    }
}

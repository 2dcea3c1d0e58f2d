//! Sessions: a key that only node and client have, by which messages are encrypted or signed, and
//! who the client is that has it.

use super::seen::Seen;
use crate::front::rate::network_of;
use idnode_proto::handle::ResponseCode;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::auth::session::SessionKey;
use idnode_registry::Caller;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Sessions at once.
const MOST: usize = 2_048;
/// Of them those of one network; datagrams, whose sources may be forged, are one together.
const MOST_OF_ONE: usize = 256;
/// Messages of one session whose numbers do not follow one another: which there were is remembered.
/// Clients in the field number their requests in no order, so that no window tells what is new.
const MOST_RUNS: usize = 16_384;
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
    /// Where it was asked for, if that cannot be forged.
    network: Option<u64>,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// Request ids.
    seen: Seen,
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
    /// Without a key the client has yet to send it. `source`: where it was asked for, if that
    /// cannot be forged.
    pub(super) fn new(
        agreed: Option<Agreed>,
        source: Option<IpAddr>,
        wanted_s: Option<u32>,
    ) -> Self {
        let wanted = wanted_s.map_or(IDLE, |s| Duration::from_secs(s.into()));
        Self {
            agreed: agreed.map_or_else(OnceLock::new, OnceLock::from),
            network: source.map(|source| network_of(source.to_canonical())),
            idle: wanted.min(IDLE),
            state: Mutex::new(State {
                used: Instant::now(),
                seen: Seen::default(),
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
    /// what a client has sent (else code 505).
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
            || state.seen.runs() >= MOST_RUNS
            || state.unopened >= MOST_UNOPENED
    }

    /// In which order it gives way to a new one, the least first; `None`: it stays. Anybody can ask
    /// for a session, but who uses one has its key, and only an administrator's proves anything.
    fn gives_way(&self) -> Option<(Use, Instant)> {
        let is_stranger = self
            .agreed()
            .is_ok_and(|agreed| agreed.caller == Caller::Stranger);
        let state = self.state.lock();
        match (state.seen.is_empty(), is_stranger) {
            (true, _) => Some((Use::None, state.used)),
            (false, true) => Some((Use::ByStranger, state.used)),
            (false, false) => None,
        }
    }
}

/// Who has used a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    None,
    ByStranger,
}

/// Sessions by their ids.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<u32, Arc<Session>>>,
}

impl Sessions {
    /// Opens a session under a new id; `None`: there are as many as there may be, of this network
    /// or in all, and administrators use them. Otherwise one makes room: the oldest that nobody has
    /// used, then the one that a stranger has not used for longest.
    pub(super) fn open(&self, session: Session) -> Option<u32> {
        let mut open = self.open.lock();
        let of_network = |it: &Session| it.network == session.network;
        let neighbours = |open: &HashMap<_, Arc<Session>>| {
            open.values().filter(|it| of_network(it)).count() >= MOST_OF_ONE
        };
        if open.len() >= MOST || neighbours(&open) {
            open.retain(|_, session| !session.is_over());
        }
        let is_crowded = neighbours(&open);
        if is_crowded || open.len() >= MOST {
            let among = open.iter().filter(|(_, it)| !is_crowded || of_network(it));
            let ways = among.filter_map(|(id, it)| Some((it.gives_way()?, *id)));
            let (_, first) = ways.min()?;
            open.remove(&first);
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
    use idnode_registry::enterprise::EnterpriseId;

    fn agreed() -> Agreed {
        Agreed {
            key: SessionKey::Aes128([7; 16]),
            caller: Caller::Stranger,
            identity: None,
        }
    }

    fn session() -> Session {
        Session::new(Some(agreed()), None, None)
    }

    #[test]
    fn a_session_lasts_while_its_numbers_take_little_room() {
        let session = session();
        assert!((0..100_000).all(|number| session.accepts(number)));
        assert!(!session.accepts(77_777) && !session.is_over());
        let scattered = (1..MOST_RUNS as u32).map(|it| 100_000 + 2 * it);
        assert!(scattered.clone().all(|number| session.accepts(number)));
        assert!(session.is_over());
    }

    /// One of a network by its number, of a stranger's or an administrator's.
    fn of_network(number: usize, is_stranger: bool) -> Session {
        let [high, low] = (number as u16).to_be_bytes();
        let caller = match is_stranger {
            true => Caller::Stranger,
            false => Caller::Enterprise {
                id: EnterpriseId(1),
                credential: String::new(),
            },
        };
        let agreed = Agreed { caller, ..agreed() };
        Session::new(Some(agreed), Some([10, high, low, 1].into()), None)
    }

    /// Opens one that is used at once.
    fn used(sessions: &Sessions, session: Session) -> Option<u32> {
        let id = sessions.open(session)?;
        assert!(sessions.get(id).unwrap().accepts(1));
        Some(id)
    }

    #[test]
    fn a_session_has_the_first_key_it_is_sent() {
        let session = Session::new(None, None, None);
        assert_eq!(session.agreed().unwrap_err(), NoSession::NoKey);
        assert!(session.agree(agreed()));
        assert!(session.agreed().is_ok() && !session.agree(agreed()));
    }

    #[test]
    fn a_silent_session_times_out() {
        let sessions = Sessions::default();
        let id = sessions
            .open(Session::new(Some(agreed()), None, Some(0)))
            .unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(sessions.get(id).unwrap_err(), NoSession::TimedOut);
        sessions.close(id);
        assert_eq!(sessions.get(id).unwrap_err(), NoSession::Unknown);
    }

    #[test]
    fn sessions_nobody_uses_make_room_and_used_ones_stay() {
        let sessions = Sessions::default();
        let first = used(&sessions, of_network(0, true)).unwrap();
        let second = sessions.open(of_network(1, true)).unwrap();
        for number in 2..=MOST {
            sessions.open(of_network(number, true)).unwrap();
        }
        assert!(sessions.get(first).is_ok(), "it is used");
        assert!(sessions.get(second).is_err(), "the oldest that is not");
        assert_eq!(sessions.open.lock().len(), MOST);
    }

    #[test]
    fn strangers_cannot_keep_administrators_from_sessions() {
        let sessions = Sessions::default();
        let own = used(&sessions, of_network(0, false)).unwrap();
        let oldest = used(&sessions, of_network(1, true)).unwrap();
        for number in 2..=MOST + 1 {
            used(&sessions, of_network(number, true)).unwrap();
        }
        assert!(sessions.get(oldest).is_err());
        let further = used(&sessions, of_network(0, false)).unwrap();
        for id in [own, further] {
            assert!(sessions.get(id).is_ok());
        }
        // Where administrators use them all, there is no room.
        let sessions = Sessions::default();
        for number in 0..MOST {
            used(&sessions, of_network(number, false)).unwrap();
        }
        assert!(sessions.open(of_network(0, false)).is_none());
    }

    #[test]
    fn one_network_has_its_share_of_the_sessions() {
        let sessions = Sessions::default();
        let elsewhere = sessions.open(of_network(1, true)).unwrap();
        let first = used(&sessions, of_network(0, true)).unwrap();
        for _ in 1..MOST_OF_ONE {
            used(&sessions, of_network(0, true)).unwrap();
        }
        assert_eq!(sessions.open.lock().len(), MOST_OF_ONE + 1);
        used(&sessions, of_network(0, false)).unwrap();
        assert!(sessions.get(first).is_err(), "its own oldest");
        assert!(sessions.get(elsewhere).is_ok());
        assert_eq!(sessions.open.lock().len(), MOST_OF_ONE + 1);
        // Datagrams are one network.
        for _ in 0..2 * MOST_OF_ONE {
            used(&sessions, session()).unwrap();
        }
        assert_eq!(sessions.open.lock().len(), 2 * MOST_OF_ONE + 1);
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

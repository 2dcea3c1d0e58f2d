//! Sessions of the HTTP API: a client proves once who it is, and shows the session's id from
//! then on. A session that nobody has logged in to is not kept: its id says when it began and
//! carries a code that only this process can have made, and its nonce follows from the id.

use super::refusal::Refusal;
use crate::clock;
use data_encoding::BASE64URL_NOPAD;
use idnode_proto::handle::ResponseCode;
use idnode_registry::Caller;
use metrics::{Counter, counter};
use parking_lot::Mutex;
use ring::hmac;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Bytes of what is random and of the time in an id, and of its code.
const HEAD_BYTES: usize = 16;
const CODE_BYTES: usize = 16;
/// Bytes of a nonce.
const NONCE_BYTES: usize = 16;
/// How long logging in to a session may take.
const LOGIN_S: u64 = 600;
/// How long a session that is logged in to may be unused.
const IDLE: Duration = Duration::from_secs(1_800);
/// How long it lasts at most.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Sessions that are logged in to at once.
const AT_ONCE: usize = 10_000;
/// Of them those of one administrator; one more ends the one that is longest unused.
const OF_ONE: usize = 32;

/// The sessions of a front.
pub(super) struct Sessions {
    /// Makes ids and nonces; of this process alone.
    key: hmac::Key,
    open: Mutex<HashMap<[u8; HEAD_BYTES], Open>>,
    at_bound: Counter,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

/// A session that somebody logged in to.
#[derive(Debug, Clone)]
struct Open {
    /// Who; `None`: it was closed, and its proof is not to be used again.
    login: Option<Login>,
    since: Instant,
    used: Instant,
}

/// Who is logged in to a session.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What it may do.
    pub(super) caller: Caller,
    /// `300:0.NA/88.118.8`.
    pub(super) id: String,
}

/// A session of this process.
#[derive(Debug, Clone)]
pub(super) struct Session {
    head: [u8; HEAD_BYTES],
    /// What its client calls it.
    pub(super) id: String,
    /// What a proof is about, with the client's own nonce.
    pub(super) nonce: [u8; NONCE_BYTES],
    /// Who is logged in.
    pub(super) login: Option<Login>,
}

impl Sessions {
    /// None.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn new() -> std::io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(std::io::Error::other)?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            open: Mutex::default(),
            at_bound: counter!("idnode_bound_hits_total", "bound" => "http_sessions"),
        })
    }

    /// A new session.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn begin(&self) -> Result<Session, Refusal> {
        let mut head = [0; HEAD_BYTES];
        getrandom::fill(&mut head).map_err(|error| {
            Refusal::new(ResponseCode::ERROR, format!("no randomness: {error}"))
        })?;
        for (byte, of_time) in head.iter_mut().zip(clock::now_s().to_be_bytes()) {
            *byte = of_time;
        }
        Ok(self.session(head, None))
    }

    fn session(&self, head: [u8; HEAD_BYTES], login: Option<Login>) -> Session {
        let code: [u8; CODE_BYTES] = self.code(b"id", &head);
        Session {
            id: BASE64URL_NOPAD.encode(&[&head[..], &code].concat()),
            nonce: self.code(b"nonce", &head),
            head,
            login,
        }
    }

    fn code<const N: usize>(&self, purpose: &[u8], head: &[u8]) -> [u8; N] {
        let tag = hmac::sign(&self.key, &[purpose, head].concat());
        let mut code = [0; N];
        for (byte, of_tag) in code.iter_mut().zip(tag.as_ref()) {
            *byte = *of_tag;
        }
        code
    }

    /// The session of an id; `None`: there is none such, or no longer.
    pub(super) fn find(&self, id: &str) -> Option<Session> {
        let bytes = BASE64URL_NOPAD.decode(id.as_bytes()).ok()?;
        let (head, code) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let expected: [u8; CODE_BYTES] = self.code(b"id", head);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..], code)) {
            return None;
        }
        let mut all = self.open.lock();
        if let Some(open) = all.get_mut(head) {
            if !open.lasts() {
                all.remove(head);
                return None;
            }
            let login = open.login.clone()?;
            open.used = Instant::now();
            return Some(self.session(*head, Some(login)));
        }
        drop(all);
        let began_s = u64::from_be_bytes(*head.first_chunk()?);
        let fresh = clock::now_s().saturating_sub(began_s) < LOGIN_S;
        fresh.then(|| self.session(*head, None))
    }

    /// Logs in.
    ///
    /// # Errors
    /// Too many are logged in, or the session was closed meanwhile.
    pub(super) fn log_in(&self, session: &Session, login: Login) -> Result<(), Refusal> {
        let mut all = self.open.lock();
        match all.get(&session.head) {
            Some(open) if open.login.is_none() => return Err(over()),
            Some(_) => {}
            None if all.len() >= AT_ONCE => {
                all.retain(|_, open| open.lasts());
                if all.len() >= AT_ONCE {
                    self.at_bound.increment(1);
                    return Err(Refusal::busy("too many sessions are open"));
                }
            }
            None => {}
        }
        make_room_for(&mut all, &session.head, &login.id);
        let now = Instant::now();
        let open = Open {
            login: Some(login),
            since: now,
            used: now,
        };
        all.insert(session.head, open);
        Ok(())
    }

    /// Ends a session; its proof does not open it again.
    pub(super) fn close(&self, session: &Session) {
        // One that nobody logged in to is forgotten by itself.
        if let Some(open) = self.open.lock().get_mut(&session.head) {
            *open = Open::closed();
        }
    }
}

impl Open {
    fn closed() -> Self {
        let now = Instant::now();
        Self {
            login: None,
            since: now,
            used: now,
        }
    }

    fn lasts(&self) -> bool {
        match self.login {
            Some(_) => self.since.elapsed() < LONGEST && self.used.elapsed() < IDLE,
            None => self.since.elapsed() < Duration::from_secs(LOGIN_S),
        }
    }
}

/// Ends the longest unused session of an administrator who has as many as one may have.
fn make_room_for(all: &mut HashMap<[u8; HEAD_BYTES], Open>, head: &[u8; HEAD_BYTES], id: &str) {
    let of_one = |open: &Open| open.login.as_ref().is_some_and(|login| login.id == id);
    let others = all
        .iter()
        .filter(|(other, open)| *other != head && of_one(open));
    let (mut count, mut oldest) = (0, None);
    for (other, open) in others {
        count += 1;
        if oldest.is_none_or(|(_, used)| open.used < used) {
            oldest = Some((*other, open.used));
        }
    }
    if let Some((oldest, _)) = oldest.filter(|_| count >= OF_ONE)
        && let Some(open) = all.get_mut(&oldest)
    {
        *open = Open::closed();
    }
}

/// That a session is not, or no longer, there.
pub(super) fn over() -> Refusal {
    Refusal::unauthenticated("there is no such session, or no longer; begin another")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn login() -> Login {
        Login {
            caller: Caller::Operator {
                credential: "x".into(),
            },
            id: "300:0.NA/88.118.8".into(),
        }
    }

    #[test]
    fn a_session_is_logged_in_to_and_closed_once() {
        let sessions = Sessions::new().unwrap();
        let begun = sessions.begin().unwrap();
        let found = sessions.find(&begun.id).unwrap();
        assert_eq!((&found.id, found.nonce), (&begun.id, begun.nonce));
        assert!(found.login.is_none());
        sessions.log_in(&found, login()).unwrap();
        let open = sessions.find(&begun.id).unwrap();
        assert_eq!(open.login.as_ref().unwrap().id, "300:0.NA/88.118.8");
        sessions.close(&open);
        assert!(sessions.find(&begun.id).is_none());
        assert!(sessions.log_in(&open, login()).is_err(), "opened again");
    }

    #[test]
    fn what_another_process_or_nobody_made_is_no_session() {
        let (one, other) = (Sessions::new().unwrap(), Sessions::new().unwrap());
        let foreign = other.begin().unwrap().id;
        let forged = BASE64URL_NOPAD.encode(&[7; HEAD_BYTES + CODE_BYTES]);
        for id in ["", "x", "10001", &foreign, &forged, &"A".repeat(9_999)] {
            assert!(one.find(id).is_none(), "{id}");
        }
        let mut old = [9; HEAD_BYTES];
        old[..8].copy_from_slice(&(clock::now_s() - LOGIN_S).to_be_bytes());
        assert!(one.find(&one.session(old, None).id).is_none(), "too old");
    }

    #[test]
    fn an_administrator_has_so_many_sessions_and_takes_none_of_others() {
        let sessions = Sessions::new().unwrap();
        let other = sessions.begin().unwrap();
        let of_other = Login {
            id: "301:0.NA/88.118.8".into(),
            ..login()
        };
        sessions.log_in(&other, of_other).unwrap();
        let mut ids = Vec::new();
        for _ in 0..=OF_ONE {
            let session = sessions.begin().unwrap();
            sessions.log_in(&session, login()).unwrap();
            ids.push(session.id);
        }
        let (oldest, others) = ids.split_first().unwrap();
        assert!(sessions.find(oldest).is_none());
        assert!(others.iter().all(|id| sessions.find(id).is_some()));
        assert!(sessions.find(&other.id).is_some());
    }

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::new().unwrap();
        for number in 0..AT_ONCE {
            let session = sessions.begin().unwrap();
            let id = format!("{number}:0.NA/88.118.8");
            sessions.log_in(&session, Login { id, ..login() }).unwrap();
        }
        let session = sessions.begin().unwrap();
        let refused = sessions.log_in(&session, login()).unwrap_err();
        assert_eq!(refused.code, ResponseCode::BUSY);
    }
}

//! Who a client has proven to be, and the challenges that clients have yet to answer.
//!
//! One client answers on the connection that its challenge came over, whatever session id it has
//! chosen there; another answers on a new connection, with the session id that the node has made.
//! So a challenge is found by either.

use super::list::Listing;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::body::challenge::Challenge;
use idnode_proto::handle::{Message, OpCode, OpFlags};
use idnode_registry::Caller;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a challenge may be answered.
const LASTS: Duration = Duration::from_secs(60);
/// Challenges of all connections that are kept under a session id.
const MOST: usize = 4_096;
/// Memory of the requests among them, bytes.
const MOST_BYTES: usize = 16 << 20;

/// A request that waits for its sender to prove who it is.
#[derive(Debug, Clone)]
pub(in super::super) struct Pending {
    /// What is to be answered.
    pub(super) challenge: Challenge,
    /// What was asked; the final answer repeats it.
    pub(super) op_code: OpCode,
    /// The whole request; empty for a log-in, which asks for nothing more.
    pub(super) request: Vec<u8>,
    /// Whom a log-in is for.
    pub(super) log_in: Option<AdminId>,
    /// Only this one is answered by it.
    pub(super) session_id: u32,
    /// What is answered in the end is to be signed.
    pub(super) certified: bool,
    /// Where the challenge was sent in a datagram.
    pub(super) sent_to: Option<IpAddr>,
    pub(super) since: Instant,
}

impl Pending {
    fn holds(&self) -> bool {
        self.since.elapsed() < LASTS
    }
}

/// What is known of a connection's client.
#[derive(Debug, Default)]
pub(in super::super) struct Client {
    /// Where it is; `None` for a datagram, whose source may be forged.
    pub(super) source: Option<IpAddr>,
    /// Where it says it is in a datagram.
    pub(super) claimed: Option<IpAddr>,
    /// Who it has logged in as.
    pub(super) caller: Caller,
    /// The administrator it has logged in as.
    pub(super) identity: Option<AdminId>,
    /// A log-in of its failed, or holds no longer: until it logs in anew its changes are refused, not
    /// challenged. One client takes a challenge that follows its log-in for success.
    pub(super) logged_out: bool,
    /// The answer that is being made was to be signed when it was asked for, before a challenge.
    pub(super) certified: bool,
    /// The log-in that it has to answer for.
    log_in: Option<Pending>,
    /// The session id of its last challenge of another kind.
    challenged: Option<u32>,
    /// A list that is not at its end.
    pub(super) listing: Option<Listing>,
}

impl Client {
    /// At the other end of a connection.
    pub(in super::super) fn at(source: IpAddr) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    /// Behind a datagram.
    pub(in super::super) fn claimed(source: IpAddr) -> Self {
        Self {
            claimed: Some(source),
            ..Self::default()
        }
    }

    /// Whether it has logged in, and a message asks for a change.
    pub(in super::super) fn may_change(&self, message: &[u8]) -> bool {
        if self.caller == Caller::Stranger {
            return false;
        }
        let changes = OpCode::CREATE.0..=OpCode::MODIFY_VALUE.0;
        Message::decode(message).is_ok_and(|it| changes.contains(&it.header.op_code.0))
    }

    /// Who it has logged in as.
    pub(in super::super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// It has proven who it is.
    pub(super) fn log_in(&mut self, caller: Caller, identity: AdminId) {
        self.caller = caller;
        self.identity = Some(identity);
        self.logged_out = false;
    }

    /// What it has proven holds no longer, or it could not prove anything.
    pub(super) fn log_out(&mut self) {
        self.caller = Caller::Stranger;
        self.identity = None;
        self.logged_out = true;
    }

    /// Whether the answer that has been made was to be signed when it was asked for; once.
    pub(super) fn take_certified(&mut self) -> bool {
        std::mem::take(&mut self.certified)
    }

    /// Where the client of a datagram is, if it says rightly: the session id of its challenge, 32
    /// random bits, was sent there and nowhere else.
    pub(super) fn heard(&self, pending: &Pending) -> Option<IpAddr> {
        self.claimed.filter(|it| pending.sent_to == Some(*it))
    }

    /// Whether a request of its may be answered otherwise than a stranger's.
    pub(in super::super) fn is_more_to(&self, message: &[u8]) -> bool {
        if self.caller == Caller::Stranger {
            return false;
        }
        let flags = Message::decode(message).map(|message| message.header.flags);
        !flags.is_ok_and(|flags| flags.contains(OpFlags::PUBLIC_ONLY))
    }

    /// Whether an answer to it goes on in further messages.
    pub(in super::super) fn has_more(&self) -> bool {
        self.listing.is_some()
    }
}

/// Challenges by the session ids that the node has made for them.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_session: HashMap<u32, Pending>,
    /// The oldest first; ids that are answered stay until they are the oldest.
    by_age: VecDeque<(u32, Instant)>,
    bytes: usize,
}

impl Challenges {
    /// Keeps a client's challenge, in place of the oldest ones where there is no room. With a
    /// connection stays a log-in alone, which is short: requests may be long, and connections are
    /// many.
    pub(super) fn keep(&self, client: &mut Client, pending: Pending) {
        if pending.log_in.is_some() {
            client.log_in = Some(pending);
            return;
        }
        client.challenged = Some(pending.session_id);
        let mut kept = self.kept.lock();
        kept.bytes += pending.request.len();
        kept.by_age.push_back((pending.session_id, pending.since));
        let replaced = kept.by_session.insert(pending.session_id, pending);
        kept.bytes -= replaced.map_or(0, |old| old.request.len());
        while let Some((session_id, since)) = kept.by_age.front().copied() {
            let full = kept.by_age.len() > MOST || kept.bytes > MOST_BYTES;
            if !full && since.elapsed() < LASTS {
                return;
            }
            kept.by_age.pop_front();
            let oldest = kept.by_session.get(&session_id);
            if oldest.is_some_and(|pending| pending.since == since) {
                kept.remove(session_id);
            }
        }
    }

    /// What was challenged, if an answer with this session id is to a challenge that is known,
    /// whether or not that still holds.
    pub(super) fn operation(&self, client: &Client, session_id: u32) -> Option<OpCode> {
        let log_in = client.log_in.as_ref();
        if let Some(log_in) = log_in.filter(|it| it.session_id == session_id) {
            return Some(log_in.op_code);
        }
        let kept = self.kept.lock();
        let by_id = kept.by_session.get(&session_id);
        let by_connection = || kept.by_session.get(&client.challenged?);
        let found = by_id.or_else(by_connection).or(log_in);
        found.map(|pending| pending.op_code)
    }

    /// The challenge that an answer with this session id is for: the connection's log-in, the one
    /// under the id, or the last one on the connection. It is answered once.
    pub(super) fn take(&self, client: &mut Client, session_id: u32) -> Option<Pending> {
        let (log_in, challenged) = (client.log_in.take(), client.challenged.take());
        let found = match log_in {
            Some(log_in) if log_in.session_id == session_id => Some(log_in),
            log_in => {
                let mut kept = self.kept.lock();
                let by_id = kept.remove(session_id);
                by_id.or_else(|| kept.remove(challenged?)).or(log_in)
            }
        };
        found.filter(Pending::holds)
    }
}

impl Kept {
    fn remove(&mut self, session_id: u32) -> Option<Pending> {
        let pending = self.by_session.remove(&session_id)?;
        self.bytes -= pending.request.len();
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::handle::{RequestDigest, Version};

    fn pending(session_id: u32, bytes: usize) -> Pending {
        Pending {
            challenge: Challenge {
                digest: RequestDigest::of(b"request", Version::LATEST),
                nonce: vec![7; 16],
            },
            op_code: OpCode::CREATE,
            request: vec![0; bytes],
            log_in: None,
            session_id,
            certified: false,
            sent_to: None,
            since: Instant::now(),
        }
    }

    #[test]
    fn a_datagram_is_from_where_its_challenge_was_sent_or_from_nowhere() {
        let [there, elsewhere] = ["192.0.2.1", "192.0.2.2"].map(|it| it.parse().unwrap());
        let sent = Pending {
            sent_to: Some(there),
            ..pending(7, 10)
        };
        assert_eq!(Client::claimed(there).heard(&sent), Some(there));
        assert_eq!(Client::claimed(elsewhere).heard(&sent), None);
        assert_eq!(Client::claimed(there).heard(&pending(7, 10)), None);
        assert_eq!(Client::default().heard(&pending(7, 10)), None);
    }

    #[test]
    fn a_challenge_is_found_by_session_or_connection_and_once() {
        let challenges = Challenges::default();
        let (mut client, mut other) = (Client::default(), Client::default());
        challenges.keep(&mut client, pending(7, 10));
        assert!(challenges.take(&mut other, 8).is_none());
        assert_eq!(challenges.take(&mut other, 7).unwrap().session_id, 7);
        assert!(challenges.take(&mut client, 0).is_none(), "answered once");
        challenges.keep(&mut client, pending(9, 10));
        let found = challenges.take(&mut client, 0).unwrap();
        assert_eq!(found.session_id, 9, "by its connection");
        // Another's challenge has, by chance, the id that a client has chosen for its log-in.
        challenges.keep(&mut other, pending(10_001, 10));
        challenges.keep(&mut client, log_in(10_001));
        assert!(
            challenges
                .take(&mut client, 10_001)
                .unwrap()
                .log_in
                .is_some()
        );
        assert!(
            challenges
                .take(&mut client, 10_001)
                .unwrap()
                .log_in
                .is_none()
        );
    }

    #[test]
    fn a_challenge_expires() {
        let challenges = Challenges::default();
        let mut client = Client::default();
        challenges.keep(&mut client, pending(7, 10));
        {
            let mut kept = challenges.kept.lock();
            let old = kept.by_session.get_mut(&7).unwrap();
            old.since = old.since.checked_sub(LASTS).unwrap();
        }
        let operation = challenges.operation(&client, 7);
        assert_eq!(operation, Some(OpCode::CREATE), "its answer says which");
        assert!(challenges.take(&mut client, 7).is_none());
        assert!(challenges.operation(&client, 7).is_none());
    }

    #[test]
    fn challenges_are_bounded() {
        let challenges = Challenges::default();
        let mut client = Client::default();
        for session_id in 1..=2 * MOST as u32 {
            challenges.keep(&mut client, pending(session_id, 10));
        }
        {
            let kept = challenges.kept.lock();
            assert!(kept.by_session.len() <= MOST && kept.by_age.len() <= MOST);
            assert_eq!(kept.bytes, 10 * kept.by_session.len());
        }
        for session_id in 1..=100 {
            challenges.keep(&mut client, pending(session_id, MOST_BYTES / 10));
        }
        let kept = challenges.kept.lock();
        assert!(kept.bytes <= MOST_BYTES, "{}", kept.bytes);
        let really: usize = kept.by_session.values().map(|it| it.request.len()).sum();
        assert_eq!(kept.bytes, really);
    }

    fn log_in(session_id: u32) -> Pending {
        Pending {
            log_in: Some("300:0.NA/88.118.8".parse().unwrap()),
            ..pending(session_id, 0)
        }
    }
}

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
    /// Who it has logged in as.
    pub(super) caller: Caller,
    /// The administrator it has logged in as.
    pub(super) identity: Option<AdminId>,
    pub(super) pending: Option<Pending>,
    /// A list that is not at its end.
    pub(super) listing: Option<Listing>,
}

impl Client {
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
    /// Keeps a challenge, in place of the oldest ones where there is no room.
    pub(super) fn keep(&self, pending: Pending) {
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
            let is_this = kept
                .by_session
                .get(&session_id)
                .is_some_and(|pending| pending.since == since);
            if is_this && let Some(old) = kept.by_session.remove(&session_id) {
                kept.bytes -= old.request.len();
            }
        }
    }

    /// The challenge that an answer with this session id is for. It is answered once.
    pub(super) fn take(&self, client: &mut Client, session_id: u32) -> Option<Pending> {
        let kept = {
            let mut kept = self.kept.lock();
            let found = kept.by_session.remove(&session_id);
            kept.bytes -= found.as_ref().map_or(0, |pending| pending.request.len());
            found
        };
        let own = client.pending.take();
        kept.or(own).filter(Pending::holds)
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
            since: Instant::now(),
        }
    }

    #[test]
    fn a_challenge_is_found_by_session_or_connection_and_once() {
        let challenges = Challenges::default();
        challenges.keep(pending(7, 10));
        let mut other = Client::default();
        assert!(challenges.take(&mut other, 8).is_none());
        assert_eq!(challenges.take(&mut other, 7).unwrap().session_id, 7);
        assert!(challenges.take(&mut other, 7).is_none(), "answered once");
        let mut client = Client {
            pending: Some(pending(10_001, 0)),
            ..Client::default()
        };
        let found = challenges.take(&mut client, 0).unwrap();
        assert_eq!(found.session_id, 10_001, "by its connection");
        assert!(client.pending.is_none());
    }

    #[test]
    fn a_challenge_expires() {
        let challenges = Challenges::default();
        challenges.keep(Pending {
            since: Instant::now().checked_sub(LASTS).unwrap(),
            ..pending(7, 10)
        });
        assert!(challenges.take(&mut Client::default(), 7).is_none());
    }

    #[test]
    fn challenges_are_bounded() {
        let challenges = Challenges::default();
        for session_id in 1..=2 * MOST as u32 {
            challenges.keep(pending(session_id, 10));
        }
        {
            let kept = challenges.kept.lock();
            assert!(kept.by_session.len() <= MOST && kept.by_age.len() <= MOST);
            assert_eq!(kept.bytes, 10 * kept.by_session.len());
        }
        for session_id in 1..=100 {
            challenges.keep(pending(session_id, MOST_BYTES / 10));
        }
        let kept = challenges.kept.lock();
        assert!(kept.bytes <= MOST_BYTES, "{}", kept.bytes);
        let really: usize = kept.by_session.values().map(|it| it.request.len()).sum();
        assert_eq!(kept.bytes, really);
    }
}
